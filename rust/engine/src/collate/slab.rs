//! Memory for batch columns: aligned slabs that go back to their pool when the last view of a batch
//! is dropped, because first touching fresh pages costs more than filling known ones.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow_buffer::{ArrowNativeType, Buffer};

use crate::error::{Error, Result};
use crate::memory::size;

/// JAX shares memory only at this alignment; Arrow recommends it.
const ALIGNMENT: usize = 64;

/// Slabs waiting to be used again, at most `budget` bytes of them. Those in use are not counted:
/// what bounds them is how many batches the loader makes ahead and the consumer keeps.
pub struct SlabPool {
    budget: usize,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    bytes: usize,
    by_size: HashMap<usize, Vec<Slab>>,
}

/// One allocation, initialised throughout.
struct Slab {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a slab owns its allocation, which no other slab points to.
unsafe impl Send for Slab {}
// SAFETY: a shared slab gives out its address only.
unsafe impl Sync for Slab {}

/// A slab on loan; dropping it, on any thread and without Python, gives it back.
struct Lease {
    slab: Option<Slab>,
    pool: Weak<SlabPool>,
}

/// A slab that its only holder may write to. It holds whatever its last user left.
pub struct SlabMut {
    lease: Lease,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a SlabMut is the only access to its slab until it is frozen.
unsafe impl Send for SlabMut {}
// SAFETY: `&SlabMut` gives no access to the bytes.
unsafe impl Sync for SlabMut {}

impl SlabPool {
    /// A pool that keeps at most `budget` idle bytes.
    pub fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self { budget, idle: Mutex::default() })
    }

    /// A slab for `length` elements of `T`, with old contents.
    ///
    /// # Errors
    /// `OutOfMemory`: the system refuses it.
    pub fn take<T: ArrowNativeType>(self: &Arc<Self>, length: usize) -> Result<SlabMut> {
        let layout = length
            .checked_mul(size_of::<T>())
            // At least a byte, because an allocation of none is undefined.
            .and_then(|bytes| Layout::from_size_align(bytes.max(1), ALIGNMENT).ok())
            .ok_or_else(|| Error::out_of_memory("a batch exceeds the address space"))?;
        let recycled = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let slab = idle.by_size.get_mut(&layout.size()).and_then(Vec::pop);
            idle.bytes -= slab.as_ref().map_or(0, |slab| slab.layout.size());
            slab
        };
        let slab = recycled.map_or_else(|| Slab::new(layout), Ok)?;
        let start = slab.start;
        let lease = Lease { slab: Some(slab), pool: Arc::downgrade(self) };
        Ok(SlabMut { lease, start, bytes: length * size_of::<T>() })
    }

    fn give_back(&self, slab: Slab) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = slab.layout.size();
        if idle.bytes + bytes <= self.budget {
            idle.bytes += bytes;
            idle.by_size.entry(bytes).or_default().push(slab);
        }
    }
}

impl Slab {
    fn new(layout: Layout) -> Result<Self> {
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) });
        start.map(|start| Self { start, layout }).ok_or_else(|| {
            Error::out_of_memory(format!(
                "the system refused {} of memory for a column of a batch; use a smaller batch or \
                 patch, or make fewer batches ahead (prefetch_bytes)",
                size(layout.size() as u64)
            ))
        })
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc_zeroed` with this layout and is freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(slab), Some(pool)) = (self.slab.take(), self.pool.upgrade()) {
            pool.give_back(slab);
        }
    }
}

impl SlabMut {
    /// The slab as elements of `T`.
    pub fn typed_mut<T: ArrowNativeType>(&mut self) -> &mut [T] {
        let length = self.bytes / size_of::<T>();
        // SAFETY: the slab holds at least `bytes` initialised bytes, aligned for any native type
        // (64), every bit pattern of which is a valid `T`; `&mut self` is the only access to them.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast::<T>(), length) }
    }

    /// An Arrow buffer over the slab, which goes back to the pool with the buffer's last clone.
    pub fn freeze(self) -> Buffer {
        let Self { lease, start, bytes } = self;
        // SAFETY: the lease keeps the `bytes` bytes at `start` alive and unmoved.
        unsafe { Buffer::from_custom_allocation(start, bytes, Arc::new(lease)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_slab_is_used_again_once_every_buffer_is_gone() {
        let pool = SlabPool::new(1 << 20);
        let mut slab = pool.take::<f32>(1000).unwrap();
        slab.typed_mut::<f32>().fill(7.0);
        let address = slab.start;
        assert_eq!(address.as_ptr() as usize % ALIGNMENT, 0);
        let buffer = slab.freeze();
        let clone = buffer.slice(4);
        drop(buffer);
        assert_ne!(pool.take::<f32>(1000).unwrap().start, address);
        assert_eq!(clone.typed_data::<f32>()[..2], [7.0, 7.0]);
        drop(clone);
        let mut again = pool.take::<f32>(1000).unwrap();
        assert_eq!(again.typed_mut::<f32>().len(), 1000);
    }

    #[test]
    fn the_budget_bounds_what_is_kept() {
        let pool = SlabPool::new(1000);
        let slabs: Vec<SlabMut> = (0..4).map(|_| pool.take::<u8>(400).unwrap()).collect();
        drop(slabs);
        let idle = pool.idle.lock().unwrap();
        assert_eq!(idle.bytes, 800);
        assert_eq!(idle.by_size[&400].len(), 2);
    }

    #[test]
    fn buffers_outlive_their_pool_and_empty_ones_work() {
        let pool = SlabPool::new(1000);
        let mut slab = pool.take::<f32>(3).unwrap();
        slab.typed_mut::<f32>().copy_from_slice(&[1.0, 2.0, 3.0]);
        let buffer = slab.freeze();
        drop(pool);
        assert_eq!(buffer.typed_data::<f32>(), [1.0, 2.0, 3.0]);
        assert!(SlabPool::new(0).take::<f32>(0).unwrap().freeze().is_empty());
        for length in [usize::MAX / 4, usize::MAX / 64] {
            let refused = SlabPool::new(0).take::<f64>(length).err().unwrap();
            assert_eq!(refused.kind, Kind::OutOfMemory);
        }
    }
}
