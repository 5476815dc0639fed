//! Names stored once and referred to by a 16-bit number.

use std::collections::HashMap;
use std::sync::Arc;

/// Distinct names in order of first appearance.
#[derive(Default)]
pub(super) struct Interner {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u16>,
}

impl Interner {
    /// The number of a name already seen.
    pub(super) fn get(&self, name: &str) -> Option<u16> {
        self.numbers.get(name).copied()
    }

    /// The name of a number this interner gave.
    pub(super) fn name(&self, number: u16) -> &str {
        &self.names[usize::from(number)]
    }

    /// Adds a name; `None` if there are too many.
    pub(super) fn add(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.get(name) {
            return Some(number);
        }
        let number = u16::try_from(self.names.len()).ok()?;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        Some(number)
    }

    /// The names in alphabetical order, and the new number of each old one.
    pub(super) fn sorted(self) -> (Vec<Arc<str>>, Vec<u16>) {
        let mut order: Vec<(Arc<str>, u16)> = self.names.into_iter().zip(0..).collect();
        order.sort_unstable();
        let mut renumbered = vec![0; order.len()];
        for (new, (_, old)) in order.iter().enumerate() {
            renumbered[usize::from(*old)] = new as u16;
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

    #[test]
    fn numbers_run_out() {
        let mut names = Interner::default();
        for k in 0..=u32::from(u16::MAX) {
            assert!(names.add(&k.to_string()).is_some());
        }
        assert_eq!(names.add("one more"), None);
        assert_eq!(names.add("7"), Some(7));
    }
}
