//! The bytes of one read, put together out of as many answers as it takes; each is checked.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap};

use super::failure::{Failure, Outcome};
use super::jobs::outside;
use crate::error::Error;
use crate::store::Extent;

/// What a server that ignores ranges may send before it is given up on.
const MOST_UNASKED: u64 = 64 << 20;

/// Bytes gathered so far for one extent of an object.
#[derive(Debug)]
pub(super) struct Assembly {
    extent: Extent,
    bytes: Vec<u8>,
    size: Option<u64>,
    etag: Option<String>,
}

/// What an answer that was accepted will bring.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acceptance {
    /// Bytes to pass over first.
    pub(super) skip: u64,
    /// Where in the object the answer's wanted bytes end, if it says so.
    pub(super) end: Option<u64>,
    /// Whether the answer goes on behind the wanted bytes.
    pub(super) surplus: bool,
}

/// The ETag of an answer, unless it is a weak one, which may stay when bytes change.
pub(super) fn strong_etag(headers: &HeaderMap) -> Option<&str> {
    let tag = headers.get(ETAG)?.to_str().ok()?;
    (!tag.starts_with("W/")).then_some(tag)
}

impl Assembly {
    pub(super) fn new(extent: Extent) -> Self {
        Self { extent, bytes: Vec::new(), size: None, etag: None }
    }

    /// Bytes gathered.
    pub(super) fn received(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Begins anew, for requests that must repeat their range.
    pub(super) fn restart(&mut self) {
        self.bytes.clear();
    }

    /// First byte of the extent.
    fn start(&self) -> u64 {
        match &self.extent {
            Extent::Range(range) => range.start,
            _ => 0,
        }
    }

    /// Where the extent ends, as far as known.
    fn end(&self) -> Option<u64> {
        match &self.extent {
            Extent::Range(range) => Some(range.end),
            Extent::Start(most) => Some(self.size.map_or(*most, |size| size.min(*most))),
            Extent::Whole(_) => self.size,
            Extent::Size => Some(0),
        }
    }

    /// Whether everything wanted is there. Of an empty extent, the size still has to be asked for.
    pub(super) fn complete(&self) -> bool {
        match self.extent {
            Extent::Range(_) => self.end() == Some(self.position()),
            _ => self.size.is_some() && self.end() == Some(self.position()),
        }
    }

    /// Whether no bytes are wanted.
    pub(super) fn only_size(&self) -> bool {
        matches!(self.extent, Extent::Size)
    }

    /// Where in the object the gathered bytes end.
    pub(super) fn reached(&self) -> u64 {
        self.position()
    }

    fn position(&self) -> u64 {
        self.start() + self.received()
    }

    /// The `Range` header of the next request.
    pub(super) fn range_header(&self) -> Option<String> {
        let from = self.position();
        match (&self.extent, self.end()) {
            (Extent::Whole(_), _) if from == 0 => None,
            (Extent::Whole(_), _) => Some(format!("bytes={from}-")),
            (_, end) => {
                let last = end.unwrap_or(0).max(from + 1) - 1;
                Some(format!("bytes={from}-{last}"))
            }
        }
    }

    /// Checks the head of an answer; `refused` has dealt with statuses of 400 and more but 416.
    pub(super) fn accept(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Outcome<Acceptance> {
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(Failure::Final(Error::unsupported(format!(
                "the server compresses its answer ({}) although asked not to, so byte ranges \
                 mean nothing",
                String::from_utf8_lossy(encoding.as_bytes())
            ))));
        }
        match status.as_u16() {
            200 => self.accept_whole(headers),
            206 => self.accept_part(headers),
            416 => self.beyond_the_end(headers),
            other => {
                Err(Failure::Final(Error::io(format!("the server answered {other} to a read"))))
            }
        }
    }

    fn accept_whole(&mut self, headers: &HeaderMap) -> Outcome<Acceptance> {
        let size = number(headers, CONTENT_LENGTH.as_str());
        self.same_object(size, headers)?;
        self.within_limit()?;
        let skip = self.position();
        let surplus = !matches!(self.extent, Extent::Whole(_));
        let end = self.end().or(size);
        if surplus && end.unwrap_or(0) > MOST_UNASKED {
            return Err(Failure::Final(Error::unsupported(format!(
                "the server ignores byte ranges and would send the whole file, of which the bytes \
                 up to {} are wanted; at most {MOST_UNASKED} are taken this way",
                end.unwrap_or(0)
            ))));
        }
        self.inside(size)?;
        Ok(Acceptance { skip, end, surplus })
    }

    fn accept_part(&mut self, headers: &HeaderMap) -> Outcome<Acceptance> {
        let wrong = |said: &str, asked: &str| {
            Failure::again(format!("the server answered {said:?} to a request for {asked:?}"))
        };
        let asked = self.range_header().unwrap_or_default();
        let said =
            headers.get(CONTENT_RANGE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let said = said.unwrap_or_default();
        let (first, last, size) = content_range(&said).ok_or_else(|| wrong(&said, &asked))?;
        self.same_object(size, headers)?;
        self.within_limit()?;
        self.inside(self.size)?;
        let wanted = match self.extent {
            Extent::Size => 1,
            _ => self.end().unwrap_or(u64::MAX),
        };
        let length = number(headers, CONTENT_LENGTH.as_str());
        if first != self.position()
            || last < first
            || last >= wanted
            || size.is_some_and(|size| last >= size)
            || length.is_some_and(|length| length != last - first + 1)
        {
            return Err(wrong(&said, &asked));
        }
        if matches!(self.extent, Extent::Size) {
            return Ok(Acceptance { skip: 0, end: Some(0), surplus: true });
        }
        Ok(Acceptance { skip: 0, end: Some(last + 1), surplus: false })
    }

    fn beyond_the_end(&mut self, headers: &HeaderMap) -> Outcome<Acceptance> {
        let size = headers
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.trim().strip_prefix("bytes */")?.trim().parse::<u64>().ok());
        if size == Some(0) && !matches!(self.extent, Extent::Range(_)) {
            self.size = size;
            return Ok(Acceptance { skip: 0, end: Some(0), surplus: true });
        }
        self.size = self.size.or(size);
        Err(Failure::Final(self.outside()))
    }

    /// Notes size and ETag of the first answer; later ones must be of the same object.
    fn same_object(&mut self, size: Option<u64>, headers: &HeaderMap) -> Outcome<()> {
        let etag = strong_etag(headers);
        let differs = |known: Option<u64>| matches!((known, size), (Some(a), Some(b)) if a != b);
        if differs(self.size) || matches!((&self.etag, etag), (Some(a), Some(b)) if a != b) {
            return Err(Failure::Final(Error::io(
                "the file changed on the server while it was read; open the dataset again",
            )));
        }
        self.size = self.size.or(size);
        if self.size.is_none() && matches!(self.extent, Extent::Start(_) | Extent::Size) {
            return Err(Failure::Final(Error::unsupported(
                "the server does not tell the file's size, neither as Content-Length nor in \
                 Content-Range",
            )));
        }
        self.etag = self.etag.take().or_else(|| etag.map(str::to_owned));
        Ok(())
    }

    fn within_limit(&self) -> Outcome<()> {
        match (&self.extent, self.size) {
            (Extent::Whole(limit), Some(size)) if size > *limit => Err(too_large(size, *limit)),
            _ => Ok(()),
        }
    }

    /// An error if a range asked for leaves the object.
    fn inside(&self, size: Option<u64>) -> Outcome<()> {
        match (&self.extent, size) {
            (Extent::Range(range), Some(size)) if range.end > size => {
                Err(Failure::Final(self.outside()))
            }
            _ => Ok(()),
        }
    }

    fn outside(&self) -> Error {
        let range = match &self.extent {
            Extent::Range(range) => range.clone(),
            _ => self.position()..self.end().unwrap_or(0),
        };
        outside(&range, self.size)
    }

    /// Takes wanted bytes of an answer's body; returns whether the answer has brought its all.
    pub(super) fn take(&mut self, piece: &[u8], end: Option<u64>) -> Outcome<bool> {
        let left = end.map_or(u64::MAX, |end| end.saturating_sub(self.position()));
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        self.bytes.extend_from_slice(piece.get(..taken).unwrap_or_default());
        match self.extent {
            Extent::Whole(limit) if self.received() > limit => {
                Err(too_large(self.received(), limit))
            }
            _ => Ok(end == Some(self.position())),
        }
    }

    /// The body has ended in good order: of an answer that stated no length, this is the size.
    pub(super) fn ended(&mut self) {
        if self.size.is_none() && !matches!(self.extent, Extent::Range(_)) {
            self.size = Some(self.position());
        }
    }

    /// A size that another header told.
    pub(super) fn learn_size(&mut self, size: u64) {
        self.size = self.size.or(Some(size));
    }

    /// Makes room for what is still to come.
    pub(super) fn reserve(&mut self, end: Option<u64>) {
        let more = end.map_or(0, |end| end.saturating_sub(self.position()));
        // A false length must not claim much memory at once.
        self.bytes.reserve(usize::try_from(more.min(32 << 20)).unwrap_or(0));
    }

    pub(super) fn finish(self) -> (Bytes, Option<u64>) {
        (self.bytes.into(), self.size)
    }
}

fn too_large(size: u64, limit: u64) -> Failure {
    let message = format!("has {size} bytes or more; at most {limit} are read");
    Failure::Final(Error::invalid_dataset(message))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// First and last byte and size of `bytes 0-9/100` or `bytes 0-9/*`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let size = match size.trim() {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    Some((first.parse().ok()?, last.parse().ok()?, size))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::{Assembly, content_range};
    use crate::store::Extent;

    const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    fn head(length: Option<usize>, range: Option<String>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(length) = length {
            headers.insert("content-length", HeaderValue::from(length));
        }
        if let Some(range) = range {
            headers.insert("content-range", HeaderValue::from_str(&range).unwrap());
        }
        headers
    }

    fn extents() -> impl Strategy<Value = Extent> {
        let size = CONTENT.len() as u64;
        prop_oneof![
            (0..size, 1..size).prop_map(move |(a, n)| Extent::Range(a..(a + n).min(size))),
            (1..size * 2).prop_map(Extent::Start),
            Just(Extent::Whole(size)),
            Just(Extent::Size),
        ]
    }

    /// Answers as a sound server would, but breaks off after `kept` bytes of each answer.
    fn answer(assembly: &mut Assembly, ranges: bool, kept: usize) {
        let (mut body, headers, status) = match assembly.range_header().filter(|_| ranges) {
            None => (CONTENT, head(Some(CONTENT.len()), None), StatusCode::OK),
            Some(asked) => {
                let (first, last) = asked.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                let first: usize = first.parse().unwrap();
                let last = last.parse().unwrap_or(usize::MAX).min(CONTENT.len() - 1);
                let said = format!("bytes {first}-{last}/{}", CONTENT.len());
                let headers = head(Some(last + 1 - first), Some(said));
                (&CONTENT[first..=last], headers, StatusCode::PARTIAL_CONTENT)
            }
        };
        let plan = assembly.accept(status, &headers).unwrap();
        let skip = usize::try_from(plan.skip).unwrap();
        body = &body[skip..(skip + kept).min(body.len())];
        for piece in body.chunks(3) {
            assembly.take(piece, plan.end).unwrap();
        }
    }

    proptest! {
        #[test]
        fn broken_answers_add_up_to_the_wanted_bytes(
            extent in extents(),
            kept in prop::collection::vec((any::<bool>(), 0usize..20), 0..8),
        ) {
            let mut assembly = Assembly::new(extent.clone());
            for (ranges, kept) in kept {
                if !assembly.complete() {
                    answer(&mut assembly, ranges, kept);
                }
            }
            if !assembly.complete() {
                answer(&mut assembly, true, usize::MAX - 100);
            }
            prop_assert!(assembly.complete());
            let (bytes, size) = assembly.finish();
            let all = CONTENT.len() as u64;
            let expected = match extent {
                Extent::Range(range) => range,
                Extent::Start(most) => 0..most.min(all),
                Extent::Whole(_) => 0..all,
                Extent::Size => 0..0,
            };
            prop_assert_eq!(&bytes[..], &CONTENT[expected.start as usize..expected.end as usize]);
            prop_assert_eq!(size, Some(all));
        }

        #[test]
        fn arbitrary_answers_never_panic(
            extent in extents(),
            status in prop::sample::select(vec![200u16, 204, 206, 416]),
            numbers in (any::<u64>(), any::<u64>(), prop::option::of(any::<u64>())),
            length in prop::option::of(any::<u64>()),
            text in "[ -~]{0,20}",
            body in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let _ = content_range(&text);
            let size = numbers.2.map_or("*".into(), |size| size.to_string());
            for said in [text, format!("bytes {}-{}/{size}", numbers.0, numbers.1)] {
                let mut headers = head(None, Some(said));
                if let Some(length) = length {
                    headers.insert("content-length", HeaderValue::from(length));
                }
                let mut assembly = Assembly::new(extent.clone());
                let status = StatusCode::from_u16(status).unwrap();
                if let Ok(plan) = assembly.accept(status, &headers) {
                    let _ = assembly.take(&body, plan.end);
                    let _ = (assembly.range_header(), assembly.complete());
                }
            }
        }
    }
}
