// SPDX-License-Identifier: Apache-2.0
//! org.example.weight-spread: a score plugin in Rust, without its standard library. It rates linears
//! by how far their largest weight is from the typical one (max |w| over the root of the mean
//! square): where that is far, few bits are left for all the others.
//!
//! The structs are those of <pare/plugin.h> as far as they are used: what comes later in a table need
//! not be named, as the size at its head tells where it ends.
#![no_std]

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::null;

/// A text of C, with a NUL at its end.
type Text = *const u8;

const OK: i32 = 0;
const NOMEM: i32 = 2;
const UNSUPPORTED: i32 = 4;
const CANCELLED: i32 = 6;
const SCORE: u32 = 2;
const DETERMINISTIC: u32 = 1;
const LINEAR: u32 = 1;

#[repr(C)]
pub struct Ctx([u8; 0]);

#[repr(C)]
struct Unit {
    struct_size: u32,
    kind: u32,
    index: u32,
    block: i32,
    path: Text,
    role: Text,
    rows: u32,
    cols: u32,
}

#[repr(C)]
pub struct Host {
    struct_size: u32,
    abi: [u16; 2],
    error: unsafe extern "C" fn(*mut Ctx, i32, Text, ...) -> i32,
    log: *const c_void,
    progress: unsafe extern "C" fn(*mut Ctx, f64) -> i32,
    alloc: unsafe extern "C" fn(*mut Ctx, usize, usize) -> *mut c_void,
    get: [*const c_void; 4],
    extension: unsafe extern "C" fn(*mut Ctx, Text) -> *const c_void,
}

#[repr(C)]
struct Model {
    struct_size: u32,
    count: *const c_void,
    unit: unsafe extern "C" fn(*mut Ctx, u32, u32) -> *const Unit,
}

#[repr(C)]
struct Weight {
    struct_size: u32,
    read: unsafe extern "C" fn(*mut Ctx, *const Unit, u32, u32, *mut f32) -> i32,
}

#[repr(C)]
struct Table {
    struct_size: u32,
    unit_kind: unsafe extern "C" fn(*mut Ctx) -> u32,
    rows: unsafe extern "C" fn(*mut Ctx) -> u32,
    columns: *const c_void,
    column_value: *const c_void,
    set: unsafe extern "C" fn(*mut Ctx, u32, u32, f64) -> i32,
}

macro_rules! c {
    ($text:literal) => {
        concat!($text, "\0").as_ptr() as Text
    };
}

/// A service, if the host has it and its table is as long as `T`.
unsafe fn service<T>(ctx: *mut Ctx, host: &Host, id: Text) -> Option<&'static T> {
    let table = (host.extension)(ctx, id);
    if table.is_null() || (*(table as *const u32) as usize) < size_of::<T>() {
        return None;
    }
    Some(&*(table as *const T))
}

fn spread(values: &[f32]) -> f64 {
    let (mut most, mut squares) = (0f64, 0f64);
    for &x in values {
        let size = if x < 0.0 { -x as f64 } else { x as f64 };
        most = if size > most { size } else { most };
        squares += size * size;
    }
    if most == 0.0 {
        return 0.0;
    }
    // a ratio's square orders as the ratio does, and needs no root
    most * most * values.len() as f64 / squares
}

unsafe extern "C" fn score(ctx: *mut Ctx, host: *const Host) -> i32 {
    let host = &*host;
    let services = (
        service::<Model>(ctx, host, c!("pare.model/1")),
        service::<Weight>(ctx, host, c!("pare.weight/1")),
        service::<Table>(ctx, host, c!("pare.table/1")),
    );
    let (model, weight, table) = match services {
        (Some(m), Some(w), Some(t)) => (m, w, t),
        _ => return (host.error)(ctx, UNSUPPORTED, c!("this host has no weights to rate")),
    };
    let rows = (table.rows)(ctx);
    for i in 0..rows {
        let unit = (model.unit)(ctx, (table.unit_kind)(ctx), i);
        let n = (*unit).rows as usize * (*unit).cols as usize;
        // the host frees this when score returns; null: it has set the message
        let values = (host.alloc)(ctx, n, size_of::<f32>()) as *mut f32;
        if values.is_null() {
            return NOMEM;
        }
        let mut rc = (weight.read)(ctx, unit, 0, (*unit).rows, values);
        if rc == OK {
            rc = (table.set)(ctx, i, 0, spread(core::slice::from_raw_parts(values, n)));
        }
        if rc != OK {
            return rc;
        }
        if (host.progress)(ctx, (i + 1) as f64 / rows as f64) != 0 {
            return (host.error)(ctx, CANCELLED, c!("interrupted"));
        }
    }
    OK
}

#[repr(C)]
pub struct Plugin {
    struct_size: u32,
    abi: [u16; 2],
    id: Text,
    version: Text,
    summary: Text,
    author: Text,
    url: Text,
    license: Text,
    citation: Text,
    label: Text,
    kind: u32,
    flags: u32,
    needs: u32,
    unit_kind: u32,
    on: Text,
    except: Text,
    precedes: Text,
    n_params: u32,
    param_size: u32,
    params: *const c_void,
    apply: *const c_void,
    apply_unit: *const c_void,
    score: unsafe extern "C" fn(*mut Ctx, *const Host) -> i32,
    allocate: *const c_void,
}

unsafe impl Sync for Plugin {}

static PLUGIN: Plugin = Plugin {
    struct_size: size_of::<Plugin>() as u32,
    abi: [1, 0],
    id: c!("org.example.weight-spread"),
    version: c!("1.0.0"),
    summary: c!("rate linears by their largest weight beside the typical one"),
    author: c!("the Pare project"),
    url: c!("https://example.org/weight-spread"),
    license: c!("Apache-2.0"),
    citation: null(),
    label: null(),
    kind: SCORE,
    flags: DETERMINISTIC,
    needs: 0,
    unit_kind: LINEAR,
    on: null(),
    except: null(),
    precedes: null(),
    n_params: 0,
    param_size: 0,
    params: null(),
    apply: null(),
    apply_unit: null(),
    score,
    allocate: null(),
};

#[no_mangle]
pub extern "C" fn pare_plugin_v1() -> *const Plugin {
    &PLUGIN
}

/// Nothing here panics; without the standard library there has to be somebody who would say so.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
