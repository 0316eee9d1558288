//! The work that is left, shared by the threads: what came last is done first, so that little waits.

use std::ffi::CStr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::folder::Hold;

/// Names, one after the other, each with its final NUL, and the numbers of their inodes.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    index: Vec<(u64, usize)>,
}

impl Names {
    pub(super) fn push(&mut self, name: &CStr, inode: u64) {
        self.index.push((inode, self.text.len()));
        self.text.extend_from_slice(name.to_bytes_with_nul());
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.index.clear();
    }

    /// By inode: next to each other on the disk.
    pub(super) fn sort(&mut self) {
        self.index.sort_unstable();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.index.iter().filter_map(|(_, at)| self.at(*at))
    }

    fn at(&self, at: usize) -> Option<&CStr> {
        CStr::from_bytes_until_nul(self.text.get(at..)?).ok()
    }

    /// Takes the last one off.
    pub(super) fn pop(&mut self) -> Option<std::ffi::CString> {
        let (_, at) = self.index.pop()?;
        self.at(at).map(CStr::to_owned)
    }

    /// Takes the second half off.
    pub(super) fn split(&mut self) -> Names {
        let mut half = Names::default();
        for (inode, at) in self.index.split_off(self.index.len() / 2) {
            if let Ok(name) = CStr::from_bytes_until_nul(self.text.get(at..).unwrap_or_default()) {
                half.push(name, inode);
            }
        }
        half
    }
}

/// Something to do.
#[derive(Debug)]
pub(super) enum Job<'b> {
    /// A folder itself: a start.
    Read(Hold<'b>),
    /// Folders in a folder, whose own looks were told already.
    Folders(Hold<'b>, Names),
    /// Objects in a folder.
    Objects(Hold<'b>, Names),
}

#[derive(Debug)]
struct State<'b> {
    jobs: Vec<Job<'b>>,
    idle: usize,
    over: bool,
}

/// The work that is left.
#[derive(Debug)]
pub(super) struct Queue<'b> {
    state: Mutex<State<'b>>,
    threads: usize,
    more: Condvar,
    over: Condvar,
}

impl<'b> Queue<'b> {
    pub(super) fn new(threads: usize) -> Queue<'b> {
        let state = State { jobs: Vec::new(), idle: 0, over: false };
        Queue { state: Mutex::new(state), threads, more: Condvar::new(), over: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<'b>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// Adds something to do.
    pub(super) fn push(&self, job: Job<'b>) {
        let mut state = self.lock();
        state.jobs.push(job);
        if state.idle > 0 {
            self.more.notify_one();
        }
    }

    /// Whether a thread waits for work.
    pub(super) fn hungry(&self) -> bool {
        let state = self.lock();
        state.idle > state.jobs.len()
    }

    /// The next thing to do, waited for; none when everything is done.
    pub(super) fn take(&self) -> Option<Job<'b>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop() {
                return Some(job);
            }
            if state.over {
                return None;
            }
            state.idle += 1;
            if state.idle == self.threads {
                state.over = true;
                self.more.notify_all();
                self.over.notify_all();
                return None;
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// A thread ends before its time (a visitor panicked): the others must not wait for it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.over = true;
        state.jobs.clear();
        self.more.notify_all();
        self.over.notify_all();
    }

    /// Waits for the end of all work for so long; whether it has come.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let state = self.lock();
        if state.over {
            return true;
        }
        let (state, _) = self.over.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
        state.over
    }
}
