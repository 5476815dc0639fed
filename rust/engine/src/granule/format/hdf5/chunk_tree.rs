//! The chunk index of files in HDF5's old format: a version 1 B-tree (HDF5 File Format
//! Specification, III.A.1), which HDF5 writes unless told otherwise.
//!
//! Read here because a swath file lists a thousand chunks in it, and hdf5-reader allocates for each
//! node and key: four times the cost of all else that opening takes.

use std::collections::HashSet;
use std::ops::Range;

use hdf5_reader::Storage;
use hdf5_reader::error::{Error as Hdf5Error, Result};

/// Signature, node type, level and number of entries; two sibling addresses follow.
const FIXED_BYTES: usize = 8;

/// The node type of trees that index chunks.
const RAW_DATA: u8 = 1;

/// A tree whose shape is known from the dataset.
pub(super) struct ChunkTree<'a> {
    pub storage: &'a dyn Storage,
    /// Bytes of an address.
    pub offset_size: u8,
    /// Dimensions of the dataset; a key has one offset more, that of the element's bytes.
    pub rank: usize,
}

/// What a key and its child say of a chunk.
pub(super) struct Leaf {
    pub address: u64,
    pub size: u64,
    /// Bit i: filter i was not applied.
    pub skipped: u32,
    /// Of its first element, along each dimension.
    pub offsets: Vec<u64>,
}

impl Leaf {
    fn read_key(&mut self, key: &[u8]) {
        let (head, offsets) = key.split_at(8);
        let (size, skipped) = head.split_at(4);
        self.size = little_endian(size);
        self.skipped = little_endian(skipped) as u32;
        for (offset, bytes) in self.offsets.iter_mut().zip(offsets.chunks_exact(8)) {
            *offset = little_endian(bytes);
        }
    }
}

impl ChunkTree<'_> {
    /// Hands every chunk below the node at `root` to `visit`; `expect` learns where the nodes lie
    /// that will be read next.
    pub(super) fn walk(
        &self,
        root: u64,
        expect: impl Fn(&[Range<u64>]),
        mut visit: impl FnMut(&Leaf),
    ) -> Result<()> {
        let mut seen = HashSet::new();
        let mut entry = Leaf { address: 0, size: 0, skipped: 0, offsets: vec![0; self.rank] };
        let mut level = None;
        // All nodes of a level, then those of the next.
        let mut nodes = vec![root];
        while !nodes.is_empty() {
            let stretches: Vec<Range<u64>> =
                nodes.iter().map(|&at| at..at.saturating_add(self.usual_bytes())).collect();
            expect(&stretches);
            let mut children = Vec::new();
            let mut below = 0;
            for address in nodes {
                if !seen.insert(address) {
                    return Err(damaged("a node is listed twice"));
                }
                let node = self.node(address)?;
                if *level.get_or_insert(node.level) != node.level {
                    return Err(damaged("a node is on the wrong level"));
                }
                below = node.level.checked_sub(1).unwrap_or(u8::MAX);
                for bytes in node.entries.chunks_exact(node.stride) {
                    let (key, child) = bytes.split_at(node.stride - usize::from(self.offset_size));
                    entry.address = little_endian(child);
                    if self.is_undefined(entry.address) {
                        continue;
                    }
                    if node.level > 0 {
                        children.push(entry.address);
                    } else {
                        entry.read_key(key);
                        visit(&entry);
                    }
                }
            }
            level = Some(below);
            nodes = children;
        }
        Ok(())
    }

    fn stride(&self) -> usize {
        8 + 8 * (self.rank + 1) + usize::from(self.offset_size)
    }

    /// The size of a node of 64 entries, which HDF5 makes unless told otherwise.
    fn usual_bytes(&self) -> u64 {
        (FIXED_BYTES + 2 * usize::from(self.offset_size) + 65 * self.stride()) as u64
    }

    fn node(&self, address: u64) -> Result<Node> {
        let header_bytes = FIXED_BYTES + 2 * usize::from(self.offset_size);
        let header = self.storage.read_range(address, header_bytes)?;
        let [b'T', b'R', b'E', b'E', RAW_DATA, level, low, high, ..] = header[..] else {
            return Err(Hdf5Error::InvalidBTreeSignature);
        };
        let stride = self.stride();
        let length = stride * usize::from(u16::from_le_bytes([low, high]));
        let start = address.saturating_add(header_bytes as u64);
        Ok(Node { level, stride, entries: self.storage.read_range(start, length)? })
    }

    fn is_undefined(&self, address: u64) -> bool {
        address == u64::MAX >> (64 - 8 * u32::from(self.offset_size.clamp(1, 8)))
    }
}

/// A node's level, 0 for leaves, and its entries: a key and a child's address each.
struct Node {
    level: u8,
    stride: usize,
    entries: hdf5_reader::StorageBuffer,
}

fn damaged(what: &str) -> Hdf5Error {
    Hdf5Error::InvalidData(format!("the chunk index is damaged: {what}"))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hdf5_reader::BytesStorage;

    use super::*;

    /// A node of a tree over a 2-D dataset, as the specification lays it out; `entries` are a
    /// chunk's size, mask and offsets, and the child's address.
    fn node(level: u8, entries: &[(u32, u32, [u64; 2], u64)]) -> Vec<u8> {
        let mut bytes = b"TREE".to_vec();
        bytes.extend([1, level]);
        bytes.extend((entries.len() as u16).to_le_bytes());
        bytes.extend([255; 16]);
        for (size, skipped, offsets, child) in entries {
            bytes.extend(size.to_le_bytes());
            bytes.extend(skipped.to_le_bytes());
            bytes.extend(offsets.iter().chain(&[0]).flat_map(|offset| offset.to_le_bytes()));
            bytes.extend(child.to_le_bytes());
        }
        bytes.resize(400, 0);
        bytes
    }

    /// Of each chunk found: address, size, mask and offsets.
    type Found = (u64, u64, u32, Vec<u64>);

    fn walk(nodes: &[Vec<u8>]) -> Result<Vec<Found>> {
        let storage = BytesStorage::new(nodes.concat());
        let tree = ChunkTree { storage: &storage, offset_size: 8, rank: 2 };
        let mut found = Vec::new();
        tree.walk(0, |_| {}, |e| found.push((e.address, e.size, e.skipped, e.offsets.clone())))?;
        Ok(found)
    }

    #[test]
    fn every_written_chunk_is_visited() {
        let root = node(1, &[(0, 0, [0, 0], 400), (0, 0, [5, 0], 800)]);
        let left = node(0, &[(35, 0, [0, 0], 7000), (36, 0, [0, 7], u64::MAX)]);
        let right = node(0, &[(37, 2, [5, 0], 9000)]);
        let found = walk(&[root, left, right]).unwrap();
        assert_eq!(found, [(7000, 35, 0, vec![0, 0]), (9000, 37, 2, vec![5, 0])]);
    }

    #[test]
    fn damage_is_an_error_and_ends() {
        let leaf = node(0, &[(35, 0, [0, 0], 7000)]);
        let loops = node(1, &[(0, 0, [0, 0], 0)]);
        assert!(walk(&[loops]).is_err(), "a node below itself");
        let twice = node(1, &[(0, 0, [0, 0], 400), (0, 0, [5, 0], 400)]);
        assert!(walk(&[twice, leaf.clone()]).is_err(), "a node listed twice");
        let skips = node(2, &[(0, 0, [0, 0], 400)]);
        assert!(walk(&[skips, leaf.clone()]).is_err(), "a level missing");
        let beyond = node(1, &[(0, 0, [0, 0], 1 << 40)]);
        assert!(walk(&[beyond]).is_err(), "a node outside the file");
        let group = [b"TREE\0".to_vec(), leaf[5..].to_vec()].concat();
        assert!(walk(&[group]).is_err(), "a tree of a group");
    }
}
