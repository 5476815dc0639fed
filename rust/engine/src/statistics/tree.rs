//! Partial results merged along a fixed binary tree of block numbers, so that the same sums are made
//! in the same order whoever made the parts.
//!
//! ```text
//!  level 2          0
//!                 /   \
//!  level 1       0     1          of five blocks: block 4 stands for its missing siblings' parents,
//!               / \   / \         at level 1 and 2, as it is
//!  level 0     0   1 2   3   4
//! ```

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What comes of all blocks of a complete subtree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node<T> {
    level: u32,
    number: u64,
    value: T,
}

impl<T> Node<T> {
    /// Its first block, and that after its last.
    fn blocks(&self) -> Option<(u64, u64)> {
        let width = 1u64.checked_shl(self.level)?;
        let first = self.number.checked_mul(width)?;
        Some((first, first.checked_add(width)?))
    }
}

/// The roots of the complete subtrees of blocks that follow one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest<T> {
    roots: Vec<Node<T>>,
}

impl<T> Default for Forest<T> {
    fn default() -> Self {
        Self { roots: Vec::new() }
    }
}

impl<T> Forest<T> {
    /// Adds the block after the last.
    pub fn push(&mut self, block: u64, value: T, merge: &impl Fn(&mut T, T)) {
        self.add(Node { level: 0, number: block, value }, merge);
    }

    fn add(&mut self, mut node: Node<T>, merge: &impl Fn(&mut T, T)) {
        while let Some(mut left) =
            self.roots.pop_if(|left| left.level == node.level && left.number ^ 1 == node.number)
        {
            merge(&mut left.value, node.value);
            node = Node { level: left.level + 1, number: left.number / 2, value: left.value };
        }
        self.roots.push(node);
    }

    /// The whole of `blocks` blocks, out of the parts in any order; `None` of no block.
    ///
    /// # Errors
    /// `InvalidInput`: a block is in none of the parts, or in several.
    pub fn whole(
        parts: impl IntoIterator<Item = Self>,
        blocks: u64,
        merge: &impl Fn(&mut T, T),
    ) -> Result<Option<T>> {
        let mut nodes: Vec<(u64, u64, Node<T>)> = Vec::new();
        for node in parts.into_iter().flat_map(|part| part.roots) {
            let (first, end) =
                node.blocks().ok_or_else(|| Error::invalid_input("a part is damaged"))?;
            nodes.push((first, end, node));
        }
        nodes.sort_by_key(|&(first, end, _)| (first, end));
        let (mut all, mut next) = (Self::default(), 0);
        for (first, end, node) in nodes {
            if first != next || end > blocks {
                let problem = if first < next { "is in several of them" } else { "is in none" };
                return Err(Error::invalid_input(format!(
                    "these parts do not make a whole: block {} {problem}",
                    first.min(next)
                )));
            }
            next = end;
            all.add(node, merge);
        }
        if next != blocks {
            return Err(Error::invalid_input(format!(
                "these parts do not make a whole: block {next} of {blocks} is in none"
            )));
        }
        Ok(all.finish(merge))
    }

    /// What the blocks that there are tell: merges from the right, where subtrees are not complete.
    pub fn finish(mut self, merge: &impl Fn(&mut T, T)) -> Option<T> {
        let mut right = self.roots.pop()?;
        while let Some(mut left) = self.roots.pop() {
            merge(&mut left.value, right.value);
            right = left;
        }
        Some(right.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::Forest;

    /// The text shows which sums were made.
    fn join(left: &mut String, right: String) {
        *left = format!("({left}{right})");
    }

    fn part(blocks: std::ops::Range<u64>) -> Forest<String> {
        let mut forest = Forest::default();
        blocks.for_each(|block| forest.push(block, format!("{block},"), &join));
        forest
    }

    #[test]
    fn the_tree_is_the_drawn_one() {
        let whole = |n| Forest::whole([part(0..n)], n, &join).unwrap();
        assert_eq!(whole(5).unwrap(), "(((0,1,)(2,3,))4,)");
        assert_eq!(whole(7).unwrap(), "(((0,1,)(2,3,))((4,5,)6,))");
        assert_eq!(whole(0), None);
    }

    proptest! {
        #[test]
        fn parts_do_not_change_the_tree(n in 1u64..70, cuts in proptest::collection::vec(0u64..70, 0..5)) {
            let mut cuts: Vec<u64> = cuts.into_iter().map(|cut| cut % (n + 1)).chain([0, n]).collect();
            cuts.sort_unstable();
            let parts = cuts.windows(2).rev().map(|pair| part(pair[0]..pair[1]));
            let whole = Forest::whole([part(0..n)], n, &join).unwrap();
            prop_assert_eq!(Forest::whole(parts, n, &join).unwrap(), whole);
        }

        #[test]
        fn what_lacks_or_doubles_a_block_is_no_whole(n in 2u64..40, at in 0u64..40) {
            let at = at % n;
            let without = [part(0..at), part(at + 1..n)];
            prop_assert!(Forest::whole(without, n, &join).is_err());
            let twice = [part(0..n), part(at..at + 1)];
            prop_assert!(Forest::whole(twice, n, &join).is_err());
        }
    }
}
