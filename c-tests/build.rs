//! Prepares the tests: reads the ABI from src/ffi, has ctest2 and the C compiler compare it with the header, and lists
//! the C programs.
//!
//! The header is made from the same source by cbindgen: two independent readers that check each other.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use quote::ToTokens;
use syn::{Fields, Item, ReturnType, Type};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let (ffi, include) = (here.join("../src/ffi"), here.join("../include"));
    for path in ["build.rs", "api", "misuse", "../src/ffi", "../include"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let abi = Abi::read(&ffi);
    fs::write(out.join("declarations.rs"), &abi.declarations).expect("OUT_DIR is writable");
    fs::write(out.join("padding.rs"), &abi.padding).expect("OUT_DIR is writable");
    fs::write(out.join("programs.rs"), programs(&here)).expect("OUT_DIR is writable");

    fs::write(out.join("callbacks.c"), &abi.callbacks).expect("OUT_DIR is writable");
    cc::Build::new()
        .file(out.join("callbacks.c"))
        .include(&include)
        .std("c11")
        .warnings_into_errors(true)
        .cargo_metadata(false)
        .compile("callbacks");

    ctest2::TestGenerator::new()
        .header("aqueduct/aqueduct.h")
        .include(&include)
        .flag("-std=c11")
        .type_name(|name, _is_struct, _is_union| c_name(name))
        // Any bytes are no function pointer; callbacks.c compares their signatures.
        .skip_roundtrip(|name| name.ends_with("_fn"))
        .generate(out.join("declarations.rs"), "layout.rs");
}

/// What src/ffi exports, in the forms that the tests need.
#[derive(Default)]
struct Abi {
    /// Rust of 2015, which is what ctest2 reads.
    declarations: String,
    /// Rust that does not compile when a sized struct has padding.
    padding: String,
    /// C that does not compile when a callback type of the header has another signature.
    callbacks: String,
}

impl Abi {
    fn read(ffi: &Path) -> Self {
        let mut abi = Self { callbacks: "#include <aqueduct/aqueduct.h>\n".into(), ..Self::default() };
        let mut functions = String::new();
        for path in sorted(ffi, "rs") {
            let source = fs::read_to_string(&path).expect("a source file can be read");
            let file = syn::parse_file(&source).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            for item in &file.items {
                abi.add(item, &mut functions);
            }
        }
        let _ = writeln!(abi.declarations, "extern \"C\" {{\n{functions}}}");
        // ctest2 would take an isize for POSIX's ssize_t; cbindgen makes it C's ptrdiff_t.
        abi.declarations =
            format!("pub type ptrdiff_t = isize;\n{}", abi.declarations.replace("isize", "ptrdiff_t"));
        abi
    }

    fn add(&mut self, item: &Item, functions: &mut String) {
        match item {
            Item::Type(alias) if alias.ident.to_string().starts_with("aq_") => {
                let (name, ty) = (&alias.ident, &alias.ty);
                check_type(ty);
                let _ = writeln!(self.declarations, "pub type {name} = {};", ty.to_token_stream());
                if let Some(signature) = c_callback(ty) {
                    let _ = writeln!(
                        self.callbacks,
                        "_Static_assert(__builtin_types_compatible_p({name}, {signature}), \"{name}\");"
                    );
                }
            }
            Item::Struct(item) if item.ident.to_string().starts_with("aq_") => {
                let name = &item.ident;
                if !item.attrs.iter().any(|a| a.path().is_ident("repr")) {
                    let _ = writeln!(self.declarations, "pub enum {name} {{}}");
                    return;
                }
                let Fields::Named(fields) = &item.fields else { panic!("{name} has no named fields") };
                let _ = writeln!(self.declarations, "#[repr(C)] pub struct {name} {{");
                let mut sum = String::from("0");
                for field in &fields.named {
                    check_type(&field.ty);
                    let (field, ty) = (field.ident.as_ref().expect("named"), field.ty.to_token_stream());
                    let _ = writeln!(self.declarations, "    pub {field}: {ty},");
                    let _ = write!(sum, " + size_of::<{ty}>()");
                }
                let _ = writeln!(self.declarations, "}}");
                if fields.named.first().is_some_and(|f| f.ident.as_ref().is_some_and(|i| i == "struct_size"))
                {
                    let _ = writeln!(
                        self.padding,
                        "const _: () = assert!(size_of::<{name}>() == {sum}, \"padding in {name}\");"
                    );
                }
            }
            Item::Const(item) if item.ident.to_string().starts_with("AQ_") => {
                let (name, ty, value) = (&item.ident, item.ty.to_token_stream(), item.expr.to_token_stream());
                let _ = writeln!(self.declarations, "pub const {name}: {ty} = {value};");
            }
            Item::Fn(function)
                if function.sig.abi.is_some() && function.sig.ident.to_string().starts_with("aq_") =>
            {
                let signature = &function.sig;
                assert!(signature.generics.params.is_empty(), "{} is generic", signature.ident);
                let mut parameters = Vec::new();
                for input in &signature.inputs {
                    let syn::FnArg::Typed(input) = input else { panic!("{} takes self", signature.ident) };
                    check_type(&input.ty);
                    parameters.push(input.to_token_stream().to_string());
                }
                let output = signature.output.to_token_stream();
                let _ = writeln!(
                    functions,
                    "    pub fn {}({}) {output};",
                    signature.ident,
                    parameters.join(", ")
                );
            }
            _ => {}
        }
    }
}

/// Types whose every bit pattern is a value, and pointers: nothing else crosses the boundary.
const PLAIN: &[&str] = &[
    "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "usize", "isize", "f32", "f64", "c_char", "c_int",
    "c_void",
];

fn check_type(ty: &Type) {
    match ty {
        Type::Ptr(pointer) => check_type(&pointer.elem),
        Type::Array(array) => check_type(&array.elem),
        Type::Path(_) if callback(ty).is_some() => {}
        Type::Path(path) => {
            let name = path.path.get_ident().map(ToString::to_string).unwrap_or_default();
            let fine = PLAIN.contains(&&*name) || name.starts_with("aq_");
            assert!(fine, "`{}` cannot cross the C boundary (or is not a plain name)", ty.to_token_stream());
        }
        _ => panic!("`{}` cannot cross the C boundary", ty.to_token_stream()),
    }
}

/// The function in `Option<unsafe extern "C" fn(...)>`.
fn callback(ty: &Type) -> Option<&syn::TypeBareFn> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first()? {
        syn::GenericArgument::Type(Type::BareFn(function)) if function.abi.is_some() => Some(function),
        _ => None,
    }
}

/// A callback's type in C.
fn c_callback(ty: &Type) -> Option<String> {
    let function = callback(ty)?;
    let mut parameters: Vec<String> = function.inputs.iter().map(|input| c_type(&input.ty)).collect();
    if parameters.is_empty() {
        parameters.push("void".into());
    }
    let output = match &function.output {
        ReturnType::Default => "void".into(),
        ReturnType::Type(_, ty) => c_type(ty),
    };
    Some(format!("{output} (*)({})", parameters.join(", ")))
}

fn c_type(ty: &Type) -> String {
    match ty {
        Type::Ptr(pointer) => {
            let constant = if pointer.const_token.is_some() { " const" } else { "" };
            format!("{}{constant} *", c_type(&pointer.elem))
        }
        _ => c_name(&ty.to_token_stream().to_string()),
    }
}

/// C's name of a plain type.
fn c_name(name: &str) -> String {
    match name {
        "c_void" => "void".into(),
        "c_char" => "char".into(),
        "c_int" => "int".into(),
        "usize" => "size_t".into(),
        "isize" => "ptrdiff_t".into(),
        "f32" => "float".into(),
        "f64" => "double".into(),
        _ if PLAIN.contains(&name) => {
            let (sign, bits) = name.split_at(1);
            format!("{}int{bits}_t", if sign == "u" { "u" } else { "" })
        }
        _ => name.into(),
    }
}

/// A module of tests for each C program.
fn programs(here: &Path) -> String {
    let mut tests = String::new();
    for folder in ["api", "misuse"] {
        let _ = writeln!(tests, "mod {folder} {{");
        for path in sorted(&here.join(folder), "c") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let c_only = fs::read_to_string(&path).is_ok_and(|source| source.starts_with("/* C only"));
            let _ = writeln!(tests, "    mod {name} {{\n        use aqueduct_c_tests::*;");
            for (test, call) in [
                ("c11", "Program::new(SOURCE).run()"),
                ("cxx17", "Program::new(SOURCE).standard(Standard::Cxx17).run()"),
                ("sanitized", "Program::new(SOURCE).sanitized().run()"),
            ] {
                if test != "cxx17" || !c_only {
                    let _ = writeln!(
                        tests,
                        "        #[test]\n        fn {test}() {{\n            {call};\n        }}"
                    );
                }
            }
            let _ = writeln!(tests, "        const SOURCE: &str = \"{folder}/{name}.c\";\n    }}");
        }
        let _ = writeln!(tests, "}}");
    }
    tests
}

/// The files of a folder with this extension, by name.
fn sorted(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    paths.sort();
    paths
}
