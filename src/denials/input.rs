//! Where a log comes from: files, folders, standard input; compressed or not; in blocks that end at line ends.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Size of a block. Records of one event are joined if they are no further apart than about this.
pub const BLOCK: usize = 4 << 20;

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
            decompress(stdin).map_err(|error| InputError::Read {
                source_name: source.name(),
                lines: 0,
                error,
            })
        }
        Source::File(path) => {
            let failed = |error| InputError::Open { path: path.clone(), error };
            let file = File::open(path).map_err(failed)?;
            if file.metadata().map_err(failed)?.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            let blocks = decompress(Box::new(file)).map_err(failed)?;
            if blocks.head.starts_with(b"LPKSHHRH") {
                return Err(InputError::Journal { path: path.clone() });
            }
            Ok(blocks)
        }
    }
}

/// Tells compressed data by its first bytes, whatever the file is called.
fn decompress(mut reader: Box<dyn Read + Send>) -> io::Result<Blocks> {
    let mut head = Vec::with_capacity(8);
    reader.by_ref().take(8).read_to_end(&mut head)?;
    let gzip = matches!(head.as_slice(), [0x1f, 0x8b, 8, ..]);
    let bzip2 = matches!(head.as_slice(), [b'B', b'Z', b'h', b'1'..=b'9', ..]);
    if !gzip && !bzip2 {
        return Ok(Blocks::new(head, reader));
    }
    let whole = BufReader::with_capacity(1 << 16, io::Cursor::new(head).chain(reader));
    Ok(Blocks::new(
        Vec::new(),
        if gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(whole))
        } else {
            Box::new(bzip2::bufread::MultiBzDecoder::new(whole))
        },
    ))
}

/// A run of whole lines.
#[derive(Debug)]
pub struct Block {
    /// The lines, each with its line end, but the last one of the source, which may have none.
    pub bytes: Vec<u8>,
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// A line longer than [`LONGEST_LINE`] that follows the block: its length.
    pub long_line: Option<u64>,
}

/// Cuts a source into blocks.
pub struct Blocks {
    head: Vec<u8>,
    reader: Box<dyn Read + Send>,
    rest: Vec<u8>,
    line: u64,
    ended: bool,
}

impl Blocks {
    fn new(head: Vec<u8>, reader: Box<dyn Read + Send>) -> Self {
        Blocks { rest: head.clone(), head, reader, line: 1, ended: false }
    }

    /// How many lines were given out.
    pub fn lines(&self) -> u64 {
        self.line - 1
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    /// What reading or decompressing gives. What was read before it is given out first.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        if self.ended && self.rest.is_empty() {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.rest);
        if !self.ended {
            let want = BLOCK.saturating_sub(bytes.len());
            bytes.reserve(want);
            let limit = u64::try_from(want).unwrap_or(u64::MAX);
            let got = self.reader.by_ref().take(limit).read_to_end(&mut bytes);
            if let Err(error) = &got {
                if bytes.is_empty() {
                    self.ended = true;
                    return Err(io::Error::new(error.kind(), error.to_string()));
                }
                // Give out what came; the error comes again with the next call, or the source has ended.
                self.reader = Box::new(Failing(Some(io::Error::new(error.kind(), error.to_string()))));
            } else if bytes.len() < BLOCK {
                self.ended = true;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let first_line = self.line;
        let mut long_line = None;
        if !self.ended {
            match memchr::memrchr(b'\n', &bytes) {
                Some(at) => self.rest = bytes.split_off(at + 1),
                None => self.rest = std::mem::take(&mut bytes),
            }
            if self.rest.len() > LONGEST_LINE {
                let so_far = std::mem::take(&mut self.rest);
                long_line = Some(self.skip_line(so_far.len()));
            }
        }
        let newlines = memchr::memchr_iter(b'\n', &bytes).count();
        let unended = usize::from(!bytes.is_empty() && bytes.last() != Some(&b'\n'));
        let count = newlines + unended + usize::from(long_line.is_some());
        self.line += u64::try_from(count).unwrap_or(0);
        Ok(Some(Block { bytes, first_line, long_line }))
    }

    /// Reads past the end of the line that has `so_far` bytes already, keeping what follows it; its length.
    fn skip_line(&mut self, so_far: usize) -> u64 {
        let mut length = u64::try_from(so_far).unwrap_or(u64::MAX);
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
                return length + u64::try_from(at).unwrap_or(0);
            }
            length += u64::try_from(n).unwrap_or(0);
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

    fn blocks(bytes: Vec<u8>) -> Vec<(u64, usize, Option<u64>)> {
        let mut b = decompress(Box::new(io::Cursor::new(bytes))).unwrap();
        let mut list = Vec::new();
        while let Some(block) = b.next_block().unwrap() {
            list.push((block.first_line, block.bytes.len(), block.long_line));
        }
        list
    }

    #[test]
    fn blocks_end_at_line_ends_and_lines_are_numbered() {
        assert!(blocks(Vec::new()).is_empty());
        assert_eq!(blocks(b"a\nb".to_vec()), [(1, 3, None)]);
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        let many = line.repeat(BLOCK / 1000 + 10);
        let list = blocks(many.clone());
        assert_eq!(list.iter().map(|b| b.1).sum::<usize>(), many.len());
        assert_eq!(list[1].0, u64::try_from(list[0].1 / 1000).unwrap() + 1);
    }

    #[test]
    fn a_line_of_100_mb_takes_no_memory() {
        let long = io::repeat(b'A').take(100 << 20);
        let text = io::Cursor::new(b"one\n".to_vec()).chain(long).chain(io::Cursor::new(b"\ntwo\n".to_vec()));
        let mut b = Blocks::new(Vec::new(), Box::new(text));
        let first = b.next_block().unwrap().unwrap();
        assert_eq!((first.bytes.as_slice(), first.long_line), (&b"one\n"[..], Some(100 << 20)));
        let second = b.next_block().unwrap().unwrap();
        assert_eq!((second.first_line, second.bytes.as_slice()), (3, &b"two\n"[..]));
        assert!(b.next_block().unwrap().is_none());
    }

    #[test]
    fn compressed_by_its_bytes_and_in_several_members() {
        let gz = |text: &[u8]| {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            e.write_all(text).unwrap();
            e.finish().unwrap()
        };
        assert_eq!(blocks([gz(b"a\nb\n"), gz(b"c\n")].concat()), [(1, 6, None)]);
        let mut e = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        e.write_all(b"a\nb\n").unwrap();
        assert_eq!(blocks(e.finish().unwrap()), [(1, 4, None)]);
        // Cut short: what was there is given out, then the error.
        let mut cut = gz(&b"some text\n".repeat(1000));
        cut.truncate(cut.len() - 10);
        let mut b = decompress(Box::new(io::Cursor::new(cut))).unwrap();
        assert!(b.next_block().unwrap().is_some());
        assert!(b.next_block().is_err());
        assert!(b.next_block().unwrap().is_none());
    }
}
