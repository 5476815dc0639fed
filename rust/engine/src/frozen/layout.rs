//! Where the rows of a shard lie: out of the footer of an Arrow file and the heads of its batches.

use std::collections::HashMap;
use std::ops::Range;

use arrow_ipc::{root_as_footer, root_as_message};
use arrow_schema::{DataType, Schema};

use super::digest::parts;
use super::{MASKED, SET};
use crate::collate::{ColumnKind, Columns};
use crate::error::{Error, Result};
use crate::store::{ByteSource, LocalFiles, Location};

/// A footer at most.
const MAX_FOOTER: u64 = 64 << 20;

/// The end of an Arrow file: the length of the footer, and `ARROW1`.
const TAIL: u64 = 10;

/// The rows of a shard.
pub(super) struct Layout {
    blocks: Vec<Block>,
}

/// The rows of one batch of a shard, and what is small of them.
pub(super) struct Block {
    rows: Range<usize>,
    /// Of each column of a batch its parts, without whether a file is there.
    columns: Vec<Vec<Part>>,
    present: Vec<Vec<u8>>,
    n_files: Vec<i32>,
    digests: Vec<u64>,
    members: usize,
    masked: HashMap<usize, Vec<String>>,
}

/// A buffer of numbers, and where each row begins if their count differs.
struct Part {
    /// In the file.
    start: u64,
    item_bytes: u64,
    offsets: Option<Vec<i32>>,
}

impl Layout {
    /// Reads what tells where the rows lie, and what is small of them; `set` is what the shard must say
    /// of itself.
    pub(super) fn open(
        files: &LocalFiles,
        location: &Location,
        set: &str,
        schema: &Schema,
        columns: &Columns,
    ) -> Result<Self> {
        let damaged =
            |what: &str| Error::corrupt(format!("the shard is damaged: {what}")).asset(location);
        let size = files.size(location)?;
        let tail = files.read(location, size.saturating_sub(TAIL)..size)?;
        let length = match tail.get(..4).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) if tail.ends_with(b"ARROW1") => u64::from(u32::from_le_bytes(bytes)),
            _ => return Err(damaged("it does not end as an Arrow file does")),
        };
        let start = (size - TAIL).checked_sub(length).filter(|_| length <= MAX_FOOTER);
        let start = start.ok_or_else(|| damaged("its footer is longer than it"))?;
        let footer = files.read(location, start..size - TAIL)?;
        let footer = root_as_footer(&footer).map_err(|e| damaged(&e.to_string()))?;
        let told: HashMap<&str, &str> = footer
            .custom_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key()?, pair.value()?)))
            .collect();
        if told.get(SET) != Some(&set) {
            return Err(Error::corrupt(
                "the shard is of another set, or of other rows of this one",
            )
            .asset(location));
        }
        let masked: Vec<(usize, String)> =
            serde_json::from_str(told.get(MASKED).copied().unwrap_or("[]"))
                .map_err(|e| damaged(&format!("its footer ({e})")))?;
        let mut blocks = Vec::new();
        let mut first = 0;
        for batch in footer.recordBatches().into_iter().flatten() {
            let (offset, head) = (batch.offset(), batch.metaDataLength());
            let (Ok(offset), Ok(head)) = (u64::try_from(offset), u64::try_from(head)) else {
                return Err(damaged("a batch lies before it"));
            };
            let body = offset.checked_add(head).filter(|_| head >= 8);
            let body = body.ok_or_else(|| damaged("a batch lies beyond it"))?;
            let message = files.read(location, offset + 8..body)?;
            let message = root_as_message(&message).map_err(|e| damaged(&e.to_string()))?;
            let record = message.header_as_record_batch();
            let record = record.ok_or_else(|| damaged("a batch has no head"))?;
            // As many as Arrow counts, so that no product of them is too large.
            let rows = u32::try_from(record.length()).map_err(|_| damaged("a batch of no rows"))?;
            let rows = rows as usize;
            let buffers = record.buffers().into_iter().flatten();
            let buffers =
                buffers.map(|b| (body.wrapping_add(b.offset() as u64), b.length() as u64));
            let reader = Reader { files, location, buffers: buffers.collect(), next: 0, rows };
            let of_rows = masked.iter().filter_map(|(row, text)| {
                let row = row.checked_sub(first).filter(|row| *row < rows)?;
                Some((row, text.clone()))
            });
            let mut texts: HashMap<usize, Vec<String>> = HashMap::new();
            of_rows.for_each(|(row, text)| texts.entry(row).or_default().push(text));
            blocks.push(reader.block(schema, columns, first, texts)?);
            first = first.saturating_add(rows);
        }
        Ok(Self { blocks })
    }

    /// The block of a row of the shard, and its place there.
    pub(super) fn block(&self, row: usize) -> Option<(&Block, usize)> {
        let number = self.blocks.partition_point(|block| block.rows.end <= row);
        let block = self.blocks.get(number)?;
        Some((block, row.checked_sub(block.rows.start)?))
    }
}

/// Goes through the buffers of a batch, column by column.
struct Reader<'a> {
    files: &'a LocalFiles,
    location: &'a Location,
    /// Where each begins in the file, and its bytes.
    buffers: Vec<(u64, u64)>,
    next: usize,
    rows: usize,
}

impl Reader<'_> {
    fn block(
        mut self,
        schema: &Schema,
        columns: &Columns,
        first: usize,
        masked: HashMap<usize, Vec<String>>,
    ) -> Result<Block> {
        let mut types = schema.fields().iter().map(|field| field.data_type());
        let (mut parted, mut present) = (Vec::new(), Vec::new());
        for kind in &columns.kinds {
            let mut own = Vec::new();
            for data_type in types.by_ref().take(parts(kind)) {
                match data_type {
                    DataType::Boolean => present.push(self.small(2, self.rows.div_ceil(8))?),
                    _ => own.push(self.part(data_type, kind)?),
                }
            }
            parted.push(own);
        }
        let (mut n_files, mut digests) = (Vec::new(), Vec::new());
        let members = columns.members.len();
        for field in schema.fields().iter().skip(columns.kinds.iter().map(parts).sum()) {
            match (field.name().as_str(), field.data_type()) {
                ("n_files", _) => {
                    n_files = numbers(&self.small(2, self.rows * 4)?, i32::from_le_bytes)
                }
                (_, DataType::FixedSizeList(..)) => {
                    let bytes = self.small(3, self.rows.saturating_mul(members * 8))?;
                    digests = numbers(&bytes, u64::from_le_bytes);
                }
                _ => _ = self.take(2)?,
            }
        }
        let rows = first..first.saturating_add(self.rows);
        Ok(Block { rows, columns: parted, present, n_files, digests, members, masked })
    }

    /// The last of the next `count` buffers: those before it tell which values are null, and none is.
    fn take(&mut self, count: usize) -> Result<(u64, u64)> {
        self.next += count;
        self.buffers.get(self.next - 1).copied().ok_or_else(|| self.damaged("it lacks buffers"))
    }

    /// So many bytes of the last of the next `count` buffers.
    fn small(&mut self, count: usize, bytes: usize) -> Result<Vec<u8>> {
        let (start, length) = self.take(count)?;
        if length < bytes as u64 {
            return Err(self.damaged("a buffer is too short"));
        }
        let end =
            start.checked_add(bytes as u64).ok_or_else(|| self.damaged("a buffer's place"))?;
        Ok(self.files.read(self.location, start..end)?.to_vec())
    }

    fn part(&mut self, data_type: &DataType, kind: &ColumnKind) -> Result<Part> {
        match (data_type, kind) {
            (DataType::FixedSizeList(item, size), _) => {
                let item_bytes = item.data_type().primitive_width().unwrap_or(1) as u64;
                let (start, length) = self.take(3)?;
                let wanted = (self.rows as u64).saturating_mul(*size as u64);
                if length < wanted.saturating_mul(item_bytes) {
                    return Err(self.damaged("a tensor is too short"));
                }
                Ok(Part { start, item_bytes, offsets: None })
            }
            (DataType::List(item), ColumnKind::Points) => {
                let item_bytes = item.data_type().primitive_width().unwrap_or(1) as u64;
                let bytes = self.small(2, (self.rows + 1) * 4)?;
                let offsets = numbers(&bytes, i32::from_le_bytes);
                let (start, length) = self.take(2)?;
                let rising = offsets.windows(2).all(|pair| 0 <= pair[0] && pair[0] <= pair[1]);
                let last = offsets.last().copied().unwrap_or_default().max(0) as u64;
                if !rising || length < last.saturating_mul(item_bytes) {
                    return Err(self.damaged("a list is too short"));
                }
                Ok(Part { start, item_bytes, offsets: Some(offsets) })
            }
            _ => Err(self.damaged("a column of another type")),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::corrupt(format!("the shard is damaged: {what}")).asset(self.location)
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|bytes| read(*bytes)).collect()
}

impl Block {
    /// Where a number of a part of a column lies in the file.
    pub(super) fn offset(&self, column: usize, part: usize, number: usize) -> u64 {
        let part = self.columns.get(column).and_then(|parts| parts.get(part));
        part.map_or(u64::MAX, |part| {
            part.start.saturating_add((number as u64).saturating_mul(part.item_bytes))
        })
    }

    /// The numbers of a row of a list.
    pub(super) fn list(&self, column: usize, part: usize, row: usize) -> Range<usize> {
        let part = self.columns.get(column).and_then(|parts| parts.get(part));
        let offsets = part.and_then(|part| part.offsets.as_ref()).and_then(|o| o.get(row..row + 2));
        offsets.map_or(0..0, |pair| pair[0] as usize..pair[1] as usize)
    }

    pub(super) fn present(&self, column: usize, row: usize) -> bool {
        let byte = self.present.get(column).and_then(|bits| bits.get(row / 8));
        byte.is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    pub(super) fn n_files(&self, row: usize) -> u32 {
        self.n_files.get(row).map_or(0, |&n| n.clamp(0, 1 << 20) as u32)
    }

    pub(super) fn digest(&self, row: usize, member: usize) -> u64 {
        self.digests.get(row * self.members + member).copied().unwrap_or_default()
    }

    /// The texts of what could not be read of a row.
    pub(super) fn masked(&self, row: usize) -> &[String] {
        self.masked.get(&row).map_or(&[], Vec::as_slice)
    }
}
