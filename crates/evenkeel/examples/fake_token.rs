//! A PKCS#11 module for tests that misbehaves as it is told: software tokens never lock, fill up,
//! hang or lie, and real ones do so once.
//!
//! `FAKE_TOKEN` says how, in words with commas between them; the folder `FAKE_TOKEN_STATE` keeps
//! the tries that were used up (`wrong`), every PIN that was tried (`logins`) and the key (`key`).
//! The PIN is 123456; the third wrong one locks. It has one key, on P-256.
#![allow(unsafe_code, reason = "PKCS#11 is an interface of C: pointers come from the caller")]
#![allow(non_snake_case, reason = "the names are those of the standard")]
#![allow(clippy::cast_possible_truncation, reason = "lengths of a few bytes")]

use std::ffi::c_void;
use std::path::PathBuf;
use std::ptr::{copy_nonoverlapping, null_mut};
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::Mutex;

use cryptoki_sys::*;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};

const PIN: &[u8] = b"123456";
const TRIES: usize = 3;
const PUBLIC: CK_OBJECT_HANDLE = 1;
const PRIVATE: CK_OBJECT_HANDLE = 2;
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// What a search still has to give.
static FOUND: Mutex<Vec<CK_OBJECT_HANDLE>> = Mutex::new(Vec::new());

/// Whether it was told to misbehave in this way.
fn told(word: &str) -> bool {
    std::env::var("FAKE_TOKEN").is_ok_and(|words| words.split(',').any(|one| one == word))
}

fn hang_if(word: &str) {
    while told(word) {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

fn state(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("FAKE_TOKEN_STATE").unwrap_or_default()).join(name)
}

fn lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(state(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn add(name: &str, line: &str) {
    let mut all = lines(name);
    all.push(line.to_owned());
    let _ = std::fs::write(state(name), all.join("\n"));
}

fn wrong_tries() -> usize {
    lines("wrong").len()
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a scalar")
}

/// # Safety
/// `to` is null or has room for `room` bytes.
unsafe fn give(bytes: &[u8], to: *mut u8, room: &mut CK_ULONG) -> CK_RV {
    let enough = *room >= bytes.len() as CK_ULONG;
    *room = bytes.len() as CK_ULONG;
    if to.is_null() {
        return CKR_OK;
    }
    if !enough {
        return CKR_BUFFER_TOO_SMALL;
    }
    // SAFETY: the caller says that there is room.
    unsafe { copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    CKR_OK
}

unsafe extern "C" fn initialize(_: *mut c_void) -> CK_RV {
    if told("prints") {
        println!("a module that talks\u{0}\u{1}\u{2}");
    }
    hang_if("hang-start");
    CKR_OK
}

unsafe extern "C" fn finalize(_: *mut c_void) -> CK_RV {
    hang_if("hang-end");
    CKR_OK
}

unsafe extern "C" fn get_slot_list(
    _: CK_BBOOL,
    slots: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    // SAFETY: PKCS#11 has the caller give room for one count, and for as many slots as it said.
    unsafe {
        *count = 1;
        if !slots.is_null() {
            *slots = 0;
        }
    }
    CKR_OK
}

unsafe extern "C" fn get_token_info(_: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    let padded = |text: &str, to: &mut [u8]| {
        to.fill(b' ');
        to[..text.len()].copy_from_slice(text.as_bytes());
    };
    let mut told_info = CK_TOKEN_INFO::default();
    padded("fake", &mut told_info.label);
    padded("Tests", &mut told_info.manufacturerID);
    padded("Liar", &mut told_info.model);
    padded("0042", &mut told_info.serialNumber);
    told_info.flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
    told_info.flags |= match wrong_tries() {
        0 => 0,
        1 => CKF_USER_PIN_COUNT_LOW,
        2 => CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY,
        _ => CKF_USER_PIN_LOCKED,
    };
    told_info.ulFreePrivateMemory = 4096;
    // SAFETY: the caller gives room for one of these.
    unsafe { *info = told_info };
    CKR_OK
}

unsafe extern "C" fn get_mechanism_list(
    _: CK_SLOT_ID,
    list: *mut CK_MECHANISM_TYPE,
    count: *mut CK_ULONG,
) -> CK_RV {
    let has = [CKM_EC_KEY_PAIR_GEN, CKM_ECDSA];
    // SAFETY: the caller asked for the count first, and gives room for as many.
    unsafe {
        *count = has.len() as CK_ULONG;
        if !list.is_null() {
            copy_nonoverlapping(has.as_ptr(), list, has.len());
        }
    }
    CKR_OK
}

unsafe extern "C" fn open_session(
    _: CK_SLOT_ID,
    _: CK_FLAGS,
    _: *mut c_void,
    _: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    // SAFETY: the caller gives room for one handle.
    unsafe { *session = 1 };
    CKR_OK
}

unsafe extern "C" fn close_session(_: CK_SESSION_HANDLE) -> CK_RV {
    CKR_OK
}

unsafe extern "C" fn login(
    _: CK_SESSION_HANDLE,
    _: CK_USER_TYPE,
    pin: *mut CK_UTF8CHAR,
    length_bytes: CK_ULONG,
) -> CK_RV {
    // SAFETY: the caller gives a PIN of this length.
    let pin = unsafe { from_raw_parts(pin, length_bytes as usize) };
    add("logins", &String::from_utf8_lossy(pin));
    hang_if("hang-login");
    if wrong_tries() >= TRIES {
        return CKR_PIN_LOCKED;
    }
    if pin != PIN {
        add("wrong", "one");
        return CKR_PIN_INCORRECT;
    }
    let _ = std::fs::remove_file(state("wrong"));
    CKR_OK
}

unsafe extern "C" fn generate_key_pair(
    _: CK_SESSION_HANDLE,
    _: *mut CK_MECHANISM,
    _: *mut CK_ATTRIBUTE,
    _: CK_ULONG,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    public: *mut CK_OBJECT_HANDLE,
    private: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    if told("full") {
        return CKR_DEVICE_MEMORY;
    }
    // SAFETY: the caller gives so many attributes, each with a value of its length.
    let (label, id) = unsafe {
        let template = from_raw_parts(template, count as usize);
        let value = |of: CK_ATTRIBUTE_TYPE| {
            template.iter().find(|one| one.type_ == of).map(|one| {
                from_raw_parts(one.pValue.cast::<u8>(), one.ulValueLen as usize).to_vec()
            })
        };
        (value(CKA_LABEL).unwrap_or_default(), value(CKA_ID).unwrap_or_default())
    };
    let id: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = std::fs::write(
        state("key"),
        format!("{}\n{}", String::from_utf8_lossy(&label), id.concat()),
    );
    // SAFETY: the caller gives room for two handles.
    unsafe {
        *public = PUBLIC;
        *private = PRIVATE;
    }
    CKR_OK
}

unsafe extern "C" fn destroy_object(_: CK_SESSION_HANDLE, _: CK_OBJECT_HANDLE) -> CK_RV {
    let _ = std::fs::remove_file(state("key"));
    CKR_OK
}

unsafe extern "C" fn find_init(
    _: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    let mut found = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.clear();
    if !state("key").exists() {
        return CKR_OK;
    }
    // SAFETY: the caller gives so many attributes; a class is one number.
    let class = unsafe {
        from_raw_parts(template, count as usize)
            .iter()
            .find(|one| one.type_ == CKA_CLASS)
            .map(|one| *one.pValue.cast::<CK_OBJECT_CLASS>())
    };
    match class {
        Some(CKO_PRIVATE_KEY) => found.push(PRIVATE),
        Some(CKO_PUBLIC_KEY) => found.push(PUBLIC),
        _ => {}
    }
    CKR_OK
}

unsafe extern "C" fn find(
    _: CK_SESSION_HANDLE,
    objects: *mut CK_OBJECT_HANDLE,
    _: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    let next = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
    // SAFETY: the caller gives room for at least one handle, and for the count.
    unsafe {
        *count = next.is_some().into();
        if let Some(next) = next {
            *objects = next;
        }
    }
    CKR_OK
}

unsafe extern "C" fn find_final(_: CK_SESSION_HANDLE) -> CK_RV {
    CKR_OK
}

fn attribute(object: CK_OBJECT_HANDLE, of: CK_ATTRIBUTE_TYPE) -> Result<Vec<u8>, CK_RV> {
    let flag = |is: bool| Ok(vec![u8::from(is)]);
    let kept = lines("key");
    match of {
        CKA_LABEL => Ok(kept.first().cloned().unwrap_or_default().into_bytes()),
        CKA_ID => {
            let digits = kept.get(1).cloned().unwrap_or_default();
            let pairs = (0..digits.len() / 2).map(|at| &digits[2 * at..2 * at + 2]);
            Ok(pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect())
        }
        CKA_KEY_TYPE => Ok(CKK_EC.to_ne_bytes().to_vec()),
        CKA_EC_PARAMS => Ok(P256.to_vec()),
        CKA_EC_POINT if object == PUBLIC => {
            let point = key().verifying_key().to_sec1_point(false);
            Ok([&[4, 65][..], point.as_bytes()].concat())
        }
        CKA_VALUE if told("gives-value") => Ok(vec![7; 32]),
        CKA_VALUE => Err(CKR_ATTRIBUTE_SENSITIVE),
        CKA_SENSITIVE | CKA_ALWAYS_SENSITIVE | CKA_LOCAL | CKA_SIGN => flag(true),
        CKA_NEVER_EXTRACTABLE if told("silent") => Err(CKR_ATTRIBUTE_TYPE_INVALID),
        CKA_NEVER_EXTRACTABLE => flag(true),
        CKA_EXTRACTABLE => flag(told("extractable")),
        CKA_DERIVE => flag(false),
        _ => Err(CKR_ATTRIBUTE_TYPE_INVALID),
    }
}

unsafe extern "C" fn get_attributes(
    _: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    // SAFETY: the caller gives so many attributes, each with no room or as much as it says.
    let template = unsafe { from_raw_parts_mut(template, count as usize) };
    let mut result = CKR_OK;
    for one in template {
        match attribute(object, one.type_) {
            Ok(bytes) => {
                // SAFETY: as above.
                let given = unsafe { give(&bytes, one.pValue.cast(), &mut one.ulValueLen) };
                if given != CKR_OK {
                    result = given;
                }
            }
            Err(code) => {
                one.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                result = code;
            }
        }
    }
    result
}

unsafe extern "C" fn sign_init(
    _: CK_SESSION_HANDLE,
    _: *mut CK_MECHANISM,
    _: CK_OBJECT_HANDLE,
) -> CK_RV {
    if told("crash") {
        std::process::abort();
    }
    hang_if("hang-sign");
    for (word, code) in [
        ("removed", CKR_DEVICE_REMOVED),
        ("session-lost", CKR_SESSION_HANDLE_INVALID),
        ("device-error", CKR_DEVICE_ERROR),
    ] {
        if told(word) {
            return code;
        }
    }
    CKR_OK
}

unsafe extern "C" fn sign(
    _: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    length_bytes: CK_ULONG,
    signature: *mut CK_BYTE,
    room: *mut CK_ULONG,
) -> CK_RV {
    // SAFETY: the caller gives data of this length.
    let data = unsafe { from_raw_parts(data, length_bytes as usize) };
    let key =
        if told("other-key") { SigningKey::from_slice(&[9; 32]).expect("a scalar") } else { key() };
    let Ok(signed): Result<Signature, _> = key.sign_prehash(data) else {
        return CKR_FUNCTION_FAILED;
    };
    let mut signed = signed.normalize_s();
    if told("high-s") {
        let high = Signature::from_scalars(*signed.r(), -*signed.s());
        signed = high.unwrap_or(signed);
    }
    let mut bytes = signed.to_bytes().to_vec();
    if told("short") {
        bytes.pop();
    }
    // SAFETY: the caller gives the room it says.
    unsafe { give(&bytes, signature, &mut *room) }
}

static FUNCTIONS: Mutex<Option<&'static mut CK_FUNCTION_LIST>> = Mutex::new(None);

/// The one name that a module exports.
///
/// # Safety
/// `list` has room for one pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let functions = CK_FUNCTION_LIST {
        version: CK_VERSION { major: 2, minor: 40 },
        C_Initialize: Some(initialize),
        C_Finalize: Some(finalize),
        C_GetSlotList: Some(get_slot_list),
        C_GetTokenInfo: Some(get_token_info),
        C_GetMechanismList: Some(get_mechanism_list),
        C_OpenSession: Some(open_session),
        C_CloseSession: Some(close_session),
        C_Login: Some(login),
        C_GenerateKeyPair: Some(generate_key_pair),
        C_DestroyObject: Some(destroy_object),
        C_FindObjectsInit: Some(find_init),
        C_FindObjects: Some(find),
        C_FindObjectsFinal: Some(find_final),
        C_GetAttributeValue: Some(get_attributes),
        C_SignInit: Some(sign_init),
        C_Sign: Some(sign),
        ..CK_FUNCTION_LIST::default()
    };
    let mut kept = FUNCTIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let kept = kept.get_or_insert_with(|| Box::leak(Box::new(functions)));
    let at: *mut CK_FUNCTION_LIST = *kept;
    // SAFETY: the caller gives room for one pointer.
    unsafe { *list = if at.is_null() { null_mut() } else { at } };
    CKR_OK
}
