//! Names stored once and referred to by a number.

use std::collections::HashMap;
use std::sync::Arc;

/// Distinct names in order of first appearance.
#[derive(Default)]
pub(super) struct Interner {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Interner {
    /// The number of a name already seen.
    pub(super) fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name of a number this interner gave.
    pub(super) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// The number of a name, which is added unless it is known.
    pub(super) fn add(&mut self, name: &str) -> u32 {
        if let Some(number) = self.get(name) {
            return number;
        }
        // Memory ends long before the numbers.
        let number = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The names in alphabetical order, and the new number of each old one.
    pub(super) fn sorted(self) -> (Vec<Arc<str>>, Vec<u32>) {
        let mut order: Vec<(Arc<str>, u32)> = self.names.into_iter().zip(0..).collect();
        order.sort_unstable();
        let mut renumbered = vec![0; order.len()];
        for (new, (_, old)) in order.iter().enumerate() {
            renumbered[*old as usize] = new as u32;
        }
        (order.into_iter().map(|(name, _)| name).collect(), renumbered)
    }
}

#[cfg(test)]
mod tests {
    use super::Interner;

    #[test]
    fn names_are_renumbered_alphabetically() {
        let mut names = Interner::default();
        for name in ["c", "a", "c", "b"] {
            names.add(name);
        }
        assert_eq!((names.get("c"), names.get("a"), names.get("z")), (Some(0), Some(1), None));
        let (sorted, renumbered) = names.sorted();
        assert_eq!(sorted.iter().map(|n| &**n).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(renumbered, [2, 0, 1]);
    }
}
