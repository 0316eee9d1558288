//! Logs that grow: what is added is read as it comes, over rotations.
//!
//! A log is rotated by renaming it and making a new one (auditd, logrotate), or by copying it away and cutting it to
//! nothing (`copytruncate`). Either is seen from the name: another file than before, or one shorter than what was
//! read. What a renamed file still gets is read to its end before the new one is begun.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::input::{LONGEST_LINE, Source};
use super::scan::{Log, Options, Reader};

/// Sources that are followed.
pub struct Live {
    sources: Vec<Followed>,
    names: Vec<String>,
    options: Options,
}

struct Followed {
    input: Input,
    reader: Reader,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// How many polls have brought nothing since a denial began to wait for the rest of its event.
    idle: u32,
}

enum Input {
    File {
        path: PathBuf,
        open: Option<Opened>,
    },
    /// What a thread reads; `None` when it has ended.
    Stream(Option<Receiver<Vec<u8>>>),
}

struct Opened {
    file: File,
    at: u64,
}

/// Most that is taken from a source in a poll.
const MOST: usize = 4 << 20;

/// Polls without news after which a denial is taken without the rest of its event.
const PATIENCE: u32 = 2;

impl Live {
    /// Follows `sources`, from their beginnings. Files need not be there yet.
    pub fn new(sources: &[Source], stdin: Option<Box<dyn Read + Send>>, options: Options) -> Self {
        let mut stdin = stdin;
        let followed = sources.iter().enumerate().map(|(number, source)| Followed {
            input: match source {
                Source::File(path) => Input::File { path: path.clone(), open: None },
                Source::Stdin => Input::Stream(stdin.take().map(pump)),
            },
            reader: Reader::new(u32::try_from(number).unwrap_or(u32::MAX), &options, 1, 0),
            rest: Vec::new(),
            idle: 0,
        });
        Live { sources: followed.collect(), names: sources.iter().map(Source::name).collect(), options }
    }

    /// What has come since the last poll. The second is true if more is there at once.
    ///
    /// # Errors
    /// None: a file that cannot be read now may be there at the next poll.
    pub fn poll(&mut self) -> (Log, bool) {
        let mut more = false;
        let mut found = super::collect::Collected::new(&self.options);
        for followed in &mut self.sources {
            more |= followed.poll();
            found.merge(followed.reader.drain());
        }
        (found.into_log(self.names.clone()), more)
    }

    /// Whether nothing more can come: all sources are streams that have ended.
    pub fn ended(&self) -> bool {
        self.sources.iter().all(|f| matches!(f.input, Input::Stream(None)) && f.rest.is_empty())
    }
}

impl Followed {
    fn poll(&mut self) -> bool {
        let mut bytes = std::mem::take(&mut self.rest);
        let before = bytes.len();
        let ended = match &mut self.input {
            Input::File { path, open } => {
                let _ = grown(path, open, &mut bytes);
                false
            }
            Input::Stream(receiver) => received(receiver, &mut bytes),
        };
        let got = bytes.len() - before;
        let whole = match memchr::memrchr(b'\n', &bytes) {
            _ if ended => bytes.len(),
            Some(at) => at + 1,
            None => 0,
        };
        self.rest = bytes.split_off(whole);
        if self.rest.len() > LONGEST_LINE {
            // Nobody's record: taken as a line, so that it is accounted for.
            bytes.append(&mut self.rest);
        }
        if !bytes.is_empty() {
            self.reader.feed(bytes);
        }
        self.idle = if got == 0 { self.idle.saturating_add(1) } else { 0 };
        if self.reader.is_waiting() && (ended || self.idle >= PATIENCE) {
            self.reader.settle();
        }
        got >= MOST
    }
}

/// Reads what a file has gained.
fn grown(path: &PathBuf, open: &mut Option<Opened>, bytes: &mut Vec<u8>) -> io::Result<()> {
    if let Some(opened) = open {
        let now = opened.file.metadata()?;
        if now.len() < opened.at {
            // Cut to nothing: a line that was begun has gone with it.
            bytes.clear();
            opened.at = 0;
        }
        let got = read_more(opened, bytes)?;
        let renamed = std::fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) != (now.dev(), now.ino()));
        if got >= MOST || !renamed {
            return Ok(());
        }
        if !bytes.is_empty() && bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
    }
    *open = None;
    let file = File::open(path)?;
    let mut opened = Opened { file, at: 0 };
    read_more(&mut opened, bytes)?;
    *open = Some(opened);
    Ok(())
}

fn read_more(opened: &mut Opened, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut all = 0;
    let mut buffer = vec![0; 256 << 10];
    while all < MOST {
        let got = opened.file.read_at(&mut buffer, opened.at)?;
        if got == 0 {
            break;
        }
        bytes.extend_from_slice(buffer.get(..got).unwrap_or_default());
        opened.at += u64::try_from(got).unwrap_or(0);
        all += got;
    }
    Ok(all)
}

/// Takes what a thread has read; whether it has ended.
fn received(receiver: &mut Option<Receiver<Vec<u8>>>, bytes: &mut Vec<u8>) -> bool {
    let Some(channel) = receiver else { return true };
    while bytes.len() < MOST {
        match channel.try_recv() {
            Ok(mut piece) => bytes.append(&mut piece),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => {
                *receiver = None;
                return true;
            }
        }
    }
    false
}

/// Reads a stream in a thread of its own.
fn pump(mut stream: Box<dyn Read + Send>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let got = match stream.read(&mut buffer) {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            match buffer.get(..got) {
                Some(piece) if got > 0 && sender.send(piece.to_vec()).is_ok() => {}
                _ => return,
            }
        }
    });
    receiver
}
