//! Where a log comes from: files, folders, standard input; compressed or not; in blocks that end at line ends.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of a chunk: small enough for a processor's own cache.
pub const CHUNK: usize = 256 << 10;

/// Longest line that is read; the kernel's own are below 9 KB.
pub const LONGEST_LINE: usize = 1 << 20;

/// One source of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// How it is named in reports. Untrusted: a file name.
    pub fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Stdin => "standard input".to_owned(),
        }
    }
}

/// A source that could not be read, wholly or from some point on.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It could not be opened or listed.
    #[error("cannot open `{}`: {error}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Reading broke off: what was read before counts.
    #[error("reading `{source_name}` broke off after {lines} lines: {error}")]
    Read {
        /// Which.
        source_name: String,
        /// After how many lines.
        lines: u64,
        /// Why.
        error: io::Error,
    },
    /// It is the journal's own file.
    #[error(
        "`{}` is a binary journal: `journalctl --file {} | perms learn -` reads it", path.display(), path.display()
    )]
    Journal {
        /// Which.
        path: PathBuf,
    },
    /// It is compressed in a way that is not read here.
    #[error("`{source_name}` is compressed: `{tool} {source_name} | perms learn -` reads it")]
    Packed {
        /// Which.
        source_name: String,
        /// What unpacks it.
        tool: &'static str,
    },
    /// A folder without a file in it.
    #[error("there is no file in the folder `{}`", path.display())]
    EmptyFolder {
        /// Which.
        path: PathBuf,
    },
}

/// The sources that `arguments` name, in order: `-` is standard input, a folder all files below it by name (links in
/// it are not followed). Standard input alone if there are no arguments.
pub fn sources(arguments: &[PathBuf]) -> (Vec<Source>, Vec<InputError>) {
    let mut list = Vec::new();
    let mut errors = Vec::new();
    if arguments.is_empty() {
        list.push(Source::Stdin);
    }
    for argument in arguments {
        if argument.as_os_str() == "-" {
            if !list.contains(&Source::Stdin) {
                list.push(Source::Stdin);
            }
        } else if argument.is_dir() {
            folder(argument, &mut list, &mut errors);
        } else {
            list.push(Source::File(argument.clone()));
        }
    }
    (list, errors)
}

fn folder(path: &Path, list: &mut Vec<Source>, errors: &mut Vec<InputError>) {
    let before = list.len();
    for entry in walkdir::WalkDir::new(path).follow_links(false).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => list.push(Source::File(entry.into_path())),
            Ok(_) => {}
            Err(error) => {
                let at = error.path().unwrap_or(path).to_path_buf();
                errors.push(InputError::Open { path: at, error: error.into() });
            }
        }
    }
    if list.len() == before {
        errors.push(InputError::EmptyFolder { path: path.to_path_buf() });
    }
}

/// Opens `source`. `stdin` is what stands for standard input.
pub fn open(source: &Source, stdin: Option<Box<dyn Read + Send>>) -> Result<Blocks, InputError> {
    match source {
        Source::Stdin => {
            let stdin = stdin.unwrap_or_else(|| Box::new(io::empty()));
            let blocks = decompress(stdin).map_err(|error| InputError::Read {
                source_name: source.name(),
                lines: 0,
                error,
            })?;
            if let Blocks::Stream(stream) = &blocks
                && let Some(tool) = Packed::tool(&stream.rest)
            {
                return Err(InputError::Packed { source_name: source.name(), tool });
            }
            Ok(blocks)
        }
        Source::File(path) => {
            let failed = |error| InputError::Open { path: path.clone(), error };
            let file = File::open(path).map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            if about.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            let mut head = [0; 8];
            if about.is_file() && about.len() > 0 {
                let n = read_at(&file, &mut head, 0).map_err(failed)?;
                let head = head.get(..n).unwrap_or_default();
                if head.starts_with(b"LPKSHHRH") {
                    return Err(InputError::Journal { path: path.clone() });
                }
                if let Some(tool) = Packed::tool(head) {
                    return Err(InputError::Packed { source_name: source.name(), tool });
                }
                if Packed::by(head).is_none() {
                    return Ok(Blocks::Plain(Arc::new(file), 0, about.len()));
                }
            }
            decompress(Box::new(file)).map_err(failed)
        }
    }
}

/// How something is compressed.
enum Packed {
    Gzip,
    Bzip2,
}

impl Packed {
    /// By the first bytes, whatever the file is called.
    fn by(head: &[u8]) -> Option<Packed> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Packed::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Packed::Bzip2),
            _ => None,
        }
    }

    /// What unpacks a format that is not read here.
    fn tool(head: &[u8]) -> Option<&'static str> {
        match head {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xzcat"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstdcat"),
            _ => None,
        }
    }
}

/// Unpacks what is compressed.
fn decompress(mut reader: Box<dyn Read + Send>) -> io::Result<Blocks> {
    let mut head = Vec::with_capacity(8);
    reader.by_ref().take(8).read_to_end(&mut head)?;
    let packed = Packed::by(&head);
    let (head, reader): (Vec<u8>, Box<dyn Read + Send>) = match packed {
        None => (head, reader),
        Some(packed) => {
            let whole = BufReader::with_capacity(1 << 16, io::Cursor::new(head).chain(reader));
            let reader: Box<dyn Read + Send> = match packed {
                Packed::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
                Packed::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
            };
            (Vec::new(), reader)
        }
    };
    Ok(Blocks::Stream(Stream::new(head, reader)))
}

/// A run of whole lines.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    /// A line longer than [`LONGEST_LINE`] that follows the block: its length.
    pub long_line: Option<u64>,
}

impl Block {
    /// A block of these lines.
    pub fn new(bytes: Vec<u8>) -> Self {
        Block { from: 0, to: bytes.len(), bytes, long_line: None }
    }

    /// The lines, each with its line end, but the last one of the source, which may have none.
    pub fn text(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    /// Its memory, to be used again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// A block that is to be read, on whichever processor.
pub enum Job {
    /// It was read.
    Read(Block),
    /// The lines of a file that begin in a range of it.
    Range {
        /// The file.
        file: Arc<File>,
        /// From this byte.
        from: u64,
        /// To before this one.
        to: u64,
    },
}

impl Job {
    /// Reads it. `buffer` is memory that may be used.
    ///
    /// # Errors
    /// What reading gives.
    pub fn load(self, buffer: Vec<u8>) -> io::Result<Block> {
        match self {
            Job::Read(block) => Ok(block),
            Job::Range { file, from, to } => range(&file, from, to, buffer),
        }
    }
}

/// Reads at `at` until `buffer` is full or the file ends; how much that was.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|r| !r.is_empty()) {
        match file.read_at(rest, at + as_u64(done)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// How much is read at a time to find the end of a chunk's last line.
const STEP: usize = 4 << 10;

/// The lines that begin in `from..to`.
fn range(file: &File, from: u64, to: u64, mut buffer: Vec<u8>) -> io::Result<Block> {
    // The byte before tells whether a line begins at `from`.
    let begin = from.saturating_sub(1);
    let want = usize::try_from(to - begin).unwrap_or(0);
    if buffer.len() < want {
        buffer.resize(want + STEP, 0);
    }
    let got = read_at(file, buffer.get_mut(..want).unwrap_or_default(), begin)?;
    let first = match memchr::memchr(b'\n', buffer.get(..got).unwrap_or_default()) {
        _ if from == 0 => 0,
        Some(at) => at + 1,
        None => got,
    };
    let mut block = Block { bytes: buffer, from: first, to: got, long_line: None };
    if first >= got || got < want || block.text().last() == Some(&b'\n') {
        return Ok(block);
    }
    // The last line goes on beyond the range.
    let last = memchr::memrchr(b'\n', block.text()).map_or(first, |at| first + at + 1);
    loop {
        if block.bytes.len() < block.to + STEP {
            block.bytes.resize(block.to + 4 * STEP, 0);
        }
        let piece = block.bytes.get_mut(block.to..block.to + STEP).unwrap_or_default();
        let got = read_at(file, piece, begin + as_u64(block.to))?;
        let got_bytes = piece.get(..got).unwrap_or_default();
        if let Some(at) = memchr::memchr(b'\n', got_bytes) {
            block.to += at + 1;
            return Ok(block);
        }
        block.to += got;
        if got < STEP {
            return Ok(block);
        }
        if block.to - last > LONGEST_LINE {
            break;
        }
    }
    // Too long: only its length is of interest.
    let mut length = as_u64(block.to - last);
    let mut piece = vec![0; 16 * STEP];
    loop {
        let got = read_at(file, &mut piece, begin + as_u64(last) + length)?;
        let at = memchr::memchr(b'\n', piece.get(..got).unwrap_or_default());
        length += as_u64(at.unwrap_or(got));
        if at.is_some() || got < piece.len() {
            break;
        }
    }
    block.to = last;
    block.long_line = Some(length);
    block.bytes.truncate(want + STEP);
    block.bytes.shrink_to_fit();
    Ok(block)
}

/// Cuts a source into blocks.
pub enum Blocks {
    /// A file that is read in many places at once: how far it was given out, and its length.
    Plain(Arc<File>, u64, u64),
    /// Anything else.
    Stream(Stream),
}

impl Blocks {
    /// The next block, in memory out of `pool`; `None` at the end.
    ///
    /// # Errors
    /// What reading or decompressing gives. What was read before it is given out first.
    pub fn next_job(&mut self, pool: &mut Vec<Vec<u8>>) -> io::Result<Option<Job>> {
        match self {
            Blocks::Plain(file, at, length) => {
                let from = *at;
                let to = from.saturating_add(as_u64(CHUNK)).min(*length);
                *at = to;
                Ok((from < to).then(|| Job::Range { file: Arc::clone(file), from, to }))
            }
            Blocks::Stream(stream) => Ok(stream.next_block(pool.pop().unwrap_or_default())?.map(Job::Read)),
        }
    }
}

/// What can only be read from its beginning to its end.
pub struct Stream {
    reader: Box<dyn Read + Send>,
    rest: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn new(head: Vec<u8>, reader: Box<dyn Read + Send>) -> Self {
        Stream { rest: head, reader, ended: false }
    }

    /// The next block, in the memory of `bytes`; `None` at the end.
    fn next_block(&mut self, mut bytes: Vec<u8>) -> io::Result<Option<Block>> {
        bytes.clear();
        bytes.append(&mut self.rest);
        if !self.ended {
            let want = CHUNK.saturating_sub(bytes.len()).max(STEP);
            bytes.reserve(want);
            let got = self.reader.by_ref().take(as_u64(want)).read_to_end(&mut bytes);
            match got {
                Err(error) if bytes.is_empty() => {
                    self.ended = true;
                    return Err(error);
                }
                // Give out what came; the error comes again with the next call.
                Err(error) => self.reader = Box::new(Failing(Some(error))),
                Ok(got) => self.ended = got < want,
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut block = Block::new(bytes);
        if !self.ended {
            block.to = memchr::memrchr(b'\n', &block.bytes).map_or(0, |at| at + 1);
            self.rest.extend_from_slice(block.bytes.get(block.to..).unwrap_or_default());
            if self.rest.len() > LONGEST_LINE {
                let so_far = std::mem::take(&mut self.rest);
                block.long_line = Some(self.skip_line(so_far.len()));
            }
        }
        Ok(Some(block))
    }

    /// Reads past the end of the line that has `so_far` bytes already, keeping what follows it; its length.
    fn skip_line(&mut self, so_far: usize) -> u64 {
        let mut length = as_u64(so_far);
        let mut buffer = vec![0u8; 1 << 16];
        loop {
            let n = match self.reader.read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.reader = Box::new(Failing(Some(error)));
                    return length;
                }
            };
            let got = buffer.get(..n).unwrap_or_default();
            if got.is_empty() {
                self.ended = true;
                return length;
            }
            if let Some(at) = memchr::memchr(b'\n', got) {
                self.rest = got.get(at + 1..).unwrap_or_default().to_vec();
                return length + as_u64(at);
            }
            length += as_u64(n);
        }
    }
}

/// Gives an error once, then ends.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Text and long line of each block.
    fn blocks(mut source: Blocks) -> Vec<(Vec<u8>, Option<u64>)> {
        let mut list = Vec::new();
        while let Some(job) = source.next_job(&mut Vec::new()).unwrap() {
            let block = job.load(Vec::new()).unwrap();
            list.push((block.text().to_vec(), block.long_line));
        }
        list
    }

    fn streamed(bytes: Vec<u8>) -> Vec<(Vec<u8>, Option<u64>)> {
        blocks(decompress(Box::new(io::Cursor::new(bytes))).unwrap())
    }

    fn plain(bytes: &[u8]) -> Vec<(Vec<u8>, Option<u64>)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        blocks(open(&Source::File(file.path().to_owned()), None).unwrap())
    }

    #[test]
    fn blocks_hold_whole_lines_and_all_of_them() {
        assert!(streamed(Vec::new()).is_empty() && plain(b"").is_empty());
        assert_eq!(streamed(b"a\nb".to_vec()), [(b"a\nb".to_vec(), None)]);
        for (line, count) in
            [(1000, 3000), (1, 600_000), (CHUNK, 5), (CHUNK - 1, 5), (CHUNK + 1, 5), (700_000, 4)]
        {
            let line = [b"x".repeat(line - 1), b"\n".to_vec()].concat();
            for end in [&b""[..], b"tail"] {
                let whole = [line.repeat(count), end.to_vec()].concat();
                for list in [streamed(whole.clone()), plain(&whole)] {
                    assert!(list.iter().all(|b| b.1.is_none()));
                    let n = list.len();
                    let cut = list
                        .iter()
                        .take(n - 1)
                        .any(|(text, _)| !text.is_empty() && text.last() != Some(&b'\n'));
                    assert!(!cut);
                    assert!(list.into_iter().flat_map(|(text, _)| text).collect::<Vec<_>>() == whole);
                }
            }
        }
    }

    #[test]
    fn a_line_of_100_mb_takes_no_memory() {
        let long = || io::repeat(b'A').take(100 << 20);
        let ends = || (io::Cursor::new(b"one\n".to_vec()), io::Cursor::new(b"\ntwo\n".to_vec()));
        let text = ends().0.chain(long()).chain(ends().1);
        let stream = blocks(Blocks::Stream(Stream::new(Vec::new(), Box::new(text))));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::copy(&mut ends().0.chain(long()).chain(ends().1), &mut file).unwrap();
        let plain = blocks(open(&Source::File(file.path().to_owned()), None).unwrap());
        for list in [stream, plain] {
            let filled: Vec<_> = list.into_iter().filter(|b| !b.0.is_empty() || b.1.is_some()).collect();
            let text: Vec<u8> = filled.iter().flat_map(|b| b.0.clone()).collect();
            assert_eq!(text, b"one\ntwo\n");
            assert_eq!(filled.iter().filter_map(|b| b.1).collect::<Vec<_>>(), [100 << 20]);
        }
    }

    #[test]
    fn compressed_by_its_bytes_and_in_several_members() {
        let gz = |text: &[u8]| {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            e.write_all(text).unwrap();
            e.finish().unwrap()
        };
        assert_eq!(streamed([gz(b"a\nb\n"), gz(b"c\n")].concat()), [(b"a\nb\nc\n".to_vec(), None)]);
        assert_eq!(plain(&[gz(b"a\nb\n"), gz(b"c\n")].concat()), [(b"a\nb\nc\n".to_vec(), None)]);
        let mut e = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        e.write_all(b"a\nb\n").unwrap();
        assert_eq!(streamed(e.finish().unwrap()), [(b"a\nb\n".to_vec(), None)]);
        // Cut short: what was there is given out, then the error.
        let mut cut = gz(&b"some text\n".repeat(1000));
        cut.truncate(cut.len() - 10);
        let mut b = decompress(Box::new(io::Cursor::new(cut))).unwrap();
        assert!(b.next_job(&mut Vec::new()).unwrap().is_some());
        assert!(b.next_job(&mut Vec::new()).is_err());
        assert!(b.next_job(&mut Vec::new()).unwrap().is_none());
    }
}
