//! The file system as SQLite sees it: every call is counted, noted, and passed on to the system's own.
//!
//! A file of ours begins with [`File`], and the system's own lies behind it in the same memory, which
//! SQLite reserves for both (`szOsFile`). Locks and shared memory are the system's alone.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libsqlite3_sys as sqlite;
use sqlite::{sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::image::Image;
use crate::{Fault, Platter, Shared, State};

/// What a file system of ours carries.
struct Context {
    real: *mut sqlite3_vfs,
    shared: Arc<Shared>,
}

/// A file of ours.
#[repr(C)]
struct File {
    base: sqlite3_file,
    context: *const Context,
    /// Where it lies; null for files that a power cut may take.
    path: *mut PathBuf,
}

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    Delete,
}

impl Call {
    /// What SQLite is told when it fails.
    fn failure(self, fault: Fault) -> Option<c_int> {
        match (fault, self) {
            (Fault::Full, Self::Write) => Some(sqlite::SQLITE_FULL),
            (Fault::Full, _) => None,
            (Fault::Io, Self::Open) => Some(sqlite::SQLITE_CANTOPEN),
            (Fault::Io, Self::Read) => Some(sqlite::SQLITE_IOERR_READ),
            (Fault::Io, Self::Write) => Some(sqlite::SQLITE_IOERR_WRITE),
            (Fault::Io, Self::Truncate) => Some(sqlite::SQLITE_IOERR_TRUNCATE),
            (Fault::Io, Self::Sync) => Some(sqlite::SQLITE_IOERR_FSYNC),
            (Fault::Io, Self::Delete) => Some(sqlite::SQLITE_IOERR_DELETE),
        }
    }
}

impl State {
    /// The logs of a database lie on the disk before SQLite opens them, which it does only when it
    /// reads: a cut before that leaves them.
    fn find_logs(&mut self, database: &Path) {
        for ending in ["-wal", "-journal"] {
            let mut log = database.as_os_str().to_owned();
            log.push(ending);
            let log = PathBuf::from(log);
            if !self.files.contains_key(&log)
                && let Ok(bytes) = std::fs::read(&log)
            {
                self.files.insert(log, Image::there(bytes));
            }
        }
    }

    /// Counts a call and does what is to be done before it; says whether it fails.
    fn reach(&mut self, call: Call) -> Result<(), c_int> {
        self.calls += 1;
        while let Some(entry) = self.actions.first_entry() {
            if *entry.key() >= self.calls {
                break;
            }
            entry.remove().into_iter().for_each(|action| action(&Platter(&self.files)));
        }
        let Some((after, count, fault)) = self.fault else { return Ok(()) };
        let is_hit = self.calls > after && self.calls - after <= count;
        match call.failure(fault).filter(|_| is_hit) {
            Some(code) => {
                self.failed += 1;
                Err(code)
            }
            None => Ok(()),
        }
    }
}

/// Makes a file system known to SQLite for as long as the process runs.
pub fn register(shared: Arc<Shared>) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("powercut-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    // SAFETY: the system's own file system lives as long as the process, and so does what is leaked
    // here; SQLite wants nothing else of a file system.
    unsafe {
        sqlite::sqlite3_initialize();
        let real = sqlite::sqlite3_vfs_find(std::ptr::null());
        assert!(!real.is_null(), "SQLite has a file system of the system");
        let context = Box::leak(Box::new(Context { real, shared }));
        let name = CString::new(name.clone()).expect("no zero in it").into_raw();
        let ours = Box::leak(Box::new(sqlite3_vfs {
            szOsFile: size_of::<File>() as c_int + (*real).szOsFile,
            pNext: std::ptr::null_mut(),
            zName: name,
            pAppData: std::ptr::from_mut(context).cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            ..*real
        }));
        let code = sqlite::sqlite3_vfs_register(ours, 0);
        assert_eq!(code, sqlite::SQLITE_OK, "SQLite takes a file system");
    }
    name
}

/// # Safety
/// `vfs` is one of ours.
unsafe fn context<'a>(vfs: *mut sqlite3_vfs) -> &'a Context {
    // SAFETY: set by `register`, and never freed.
    unsafe { &*(*vfs).pAppData.cast::<Context>() }
}

/// # Safety
/// `name` is null or ends with a zero.
unsafe fn path(name: *const c_char) -> PathBuf {
    // SAFETY: as the caller says.
    let bytes = if name.is_null() { c"" } else { unsafe { CStr::from_ptr(name) } };
    PathBuf::from(bytes.to_string_lossy().into_owned())
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let kept = sqlite::SQLITE_OPEN_MAIN_DB
        | sqlite::SQLITE_OPEN_MAIN_JOURNAL
        | sqlite::SQLITE_OPEN_SUPER_JOURNAL
        | sqlite::SQLITE_OPEN_WAL;
    // SAFETY: SQLite hands over memory of `szOsFile` bytes, ours and then the system's, and the
    // system's own file system gets what it would get without us.
    unsafe {
        let (context, path) = (context(vfs), path(name));
        (*file).pMethods = std::ptr::null();
        let is_kept = flags & kept != 0 && !name.is_null();
        let mut state = context.shared.state();
        if is_kept && let Err(code) = state.reach(Call::Open) {
            return code;
        }
        // Not while it is open: closing what reads it would take away SQLite's locks.
        let is_new = is_kept && state.files.get(&path).is_none_or(Image::is_gone);
        let before = is_new.then(|| std::fs::read(&path).ok());
        let ours = file.cast::<File>();
        let real = real(file);
        (*real).pMethods = std::ptr::null();
        let open = (*context.real).xOpen.expect("every file system opens");
        let code = open(context.real, name, real, flags, out);
        if (*real).pMethods.is_null() {
            return code;
        }
        if let Some(before) = before {
            state.files.insert(path.clone(), before.map_or_else(Image::default, Image::there));
            state.find_logs(&path);
        }
        (*ours).context = context;
        (*ours).path = if is_kept { Box::into_raw(Box::new(path)) } else { std::ptr::null_mut() };
        (*file).pMethods = &raw const METHODS;
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let (context, path) = (context(vfs), path(name));
        let mut state = context.shared.state();
        if let Err(code) = state.reach(Call::Delete) {
            return code;
        }
        let delete = (*context.real).xDelete.expect("every file system deletes");
        let code = delete(context.real, name, sync);
        if code == sqlite::SQLITE_OK {
            if sync != 0 {
                state.files.remove(&path);
            } else if let Some(image) = state.files.get_mut(&path) {
                image.gone();
            }
        }
        code
    }
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let real = context(vfs).real;
        ((*real).xAccess.expect("every file system looks"))(real, name, flags, out)
    }
}

unsafe extern "C" fn full_pathname(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let real = context(vfs).real;
        ((*real).xFullPathname.expect("every file system names"))(real, name, length, out)
    }
}

/// The system's own file behind ours.
///
/// # Safety
/// `file` was opened, or is being opened, by us.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `register` asked for room for both.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// Counts a call and notes what it changes, if it is made and works.
///
/// # Safety
/// `file` is one of ours.
unsafe fn note(
    file: *mut sqlite3_file,
    call: Call,
    make: impl FnOnce(*mut sqlite3_file) -> c_int,
    change: impl FnOnce(&mut Image),
) -> c_int {
    // SAFETY: `open` has set all of it.
    unsafe {
        let ours = &*file.cast::<File>();
        if ours.path.is_null() {
            return make(real(file));
        }
        let mut state = (*ours.context).shared.state();
        if let Err(code) = state.reach(call) {
            return code;
        }
        let code = make(real(file));
        if code == sqlite::SQLITE_OK
            && let Some(image) = state.files.get_mut(&*ours.path)
        {
            change(image);
        }
        code
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: closed once, so that the path is freed once.
    unsafe {
        let code = ((*(*real(file)).pMethods).xClose.expect("it closes"))(real(file));
        let ours = file.cast::<File>();
        if !(*ours).path.is_null() {
            drop(Box::from_raw((*ours).path));
            (*ours).path = std::ptr::null_mut();
        }
        code
    }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let make = |real: *mut sqlite3_file| {
            ((*(*real).pMethods).xRead.expect("it reads"))(real, to, length, at)
        };
        note(file, Call::Read, make, |_| {})
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite hands over so many bytes.
    unsafe {
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length as usize);
        let make = |real: *mut sqlite3_file| {
            ((*(*real).pMethods).xWrite.expect("it writes"))(real, from, length, at)
        };
        note(file, Call::Write, make, |image| image.write(at as u64, bytes))
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let make = |real: *mut sqlite3_file| {
            ((*(*real).pMethods).xTruncate.expect("it cuts off"))(real, length)
        };
        note(file, Call::Truncate, make, |image| image.truncate(length as u64))
    }
}

/// The real disk is not waited for. The first sync of a new file syncs its folder as well, as the
/// system's own file system does, and with it what was removed.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: `file` is one of ours.
    unsafe {
        let mut is_new = false;
        let change = |image: &mut Image| {
            is_new = !image.is_known();
            image.sync();
        };
        let code = note(file, Call::Sync, |_| sqlite::SQLITE_OK, change);
        if is_new {
            let ours = &*file.cast::<File>();
            (*ours.context).shared.state().files.retain(|_, image| !image.is_gone());
        }
        code
    }
}

/// Calls that are passed on as they come.
macro_rules! pass_on {
    ($($name:ident = $method:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)?;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $arg: $kind)*) $(-> $out)? {
            // SAFETY: the system's own file behind ours is open.
            unsafe {
                let real = real(file);
                ((*(*real).pMethods).$method.expect("the system has it"))(real $(, $arg)*)
            }
        }
    )*};
}

pass_on! {
    file_size = xFileSize(out: *mut sqlite3_int64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control = xFileControl(what: c_int, with: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier();
    shm_unmap = xShmUnmap(remove: c_int) -> c_int;
}

/// Without memory mapping, which would write beside us.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
