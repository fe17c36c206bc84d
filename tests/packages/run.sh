#!/usr/bin/env bash
# Does the installed package work from outside? Installs Aqueduct as a user would, builds and runs C and C++ programs
# against it far from this source tree, and looks at what was installed.
#
#   tests/packages/run.sh            ends with `packages: N passed, N failed`
#   KEEP=1 tests/packages/run.sh     leaves its folder, and says where
#
# Cargo's target directory is the project's own ($CARGO_TARGET_DIR, or target/), so that nothing is built twice.
# Needs cmake, make, gcc, g++, pkg-config, readelf; checks Debian packages where Debian's tools are.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
abi=$(sed -n 's/^const ABI_NUMBER: u32 = \([0-9]*\);/\1/p' "$root/build.rs")
soname=libaqueduct.so.$abi

# With a space in it, as some people's folders have.
work=$(mktemp -d "${TMPDIR:-/tmp}/aqueduct packages.XXXXXX")
cleanup() { if [ -n "${KEEP:-}" ]; then echo "left: $work"; else rm -rf "$work"; fi; }
trap cleanup EXIT

# What this shell's user has set must not decide what is found.
unset PKG_CONFIG_PATH LD_LIBRARY_PATH CMAKE_PREFIX_PATH DESTDIR BUILD_SHARED_LIBS CARGO_BUILD_TARGET MAKEFLAGS MFLAGS

# ---- Checks: a name and a command; its output is shown when it fails ----

passed=0
failed=0
finish() {
    echo "packages: $passed passed, $failed failed"
    exit $((failed > 0))
}
check() {
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name: $*"
        tail -n 60 "$work/log" | sed 's/^/        | /'
        return 1
    fi
}
# A check without which the others make no sense.
need() { check "$@" || finish; }
refuses() { ! "$@"; }

# ---- The source tree gets nothing but cargo's target directory ----

source_files() { (cd "$root" && find . \( -path ./target -o -path ./.git -o -path "$target" \) -prune -o -print | sort); }
source_files >"$work/source-before"

# ---- Programs outside of the source tree ----

mkdir "$work/consumers"
cp -r "$root"/tests/packages/{programs,consumer-cmake,consumer-pkgconfig} "$work/consumers/"

# needs PROGRAM LIBRARY: the loader looks for it by this name, without a folder.
needs() { readelf -d "$1" | grep -F "(NEEDED)" | grep -qF "[$2]"; }
needs_no_aqueduct() { ! readelf -d "$1" | grep -F "(NEEDED)" | grep -F aqueduct; }
needs_no_folder() { ! readelf -d "$1" | grep -F "(NEEDED)" | grep -F /; }

# cmake_consumer NAME BUILD OPTION...: configures, builds and runs the CMake project; looks at what its programs need.
cmake_consumer() {
    local name=$1 build=$2
    shift 2
    check "$name: configure" cmake -S "$work/consumers/consumer-cmake" -B "$build" "$@" || return
    check "$name: build" cmake --build "$build" --parallel 2 || return
    check "$name: run" env -C "$build" ctest --output-on-failure
    linkage "$name" "$build"
}
# pkgconfig_consumer NAME LIBDIR: the same with make and pkg-config.
pkgconfig_consumer() {
    local name=$1 libdir=$2
    rm -f "$work"/consumers/consumer-pkgconfig/{c,cpp}-{shared,static}
    check "$name: build and run" env PKG_CONFIG_PATH="$libdir/pkgconfig" \
        make -C "$work/consumers/consumer-pkgconfig" check LIBDIR="$libdir" || return
    linkage "$name" "$work/consumers/consumer-pkgconfig"
}
linkage() {
    local name=$1 folder=$2 language
    for language in c cpp; do
        check "$name: $language-shared needs $soname" needs "$folder/$language-shared" "$soname"
        check "$name: $language-shared needs no folder" needs_no_folder "$folder/$language-shared"
        check "$name: $language-static needs no aqueduct" needs_no_aqueduct "$folder/$language-static"
    done
}

# ---- Install, look, use, move, use again ----

prefix="$work/first prefix"
need "configure" cmake -S "$root/cmake" -B "$work/build" -DAQUEDUCT_CARGO_TARGET_DIR="$target"
need "build" cmake --build "$work/build"
need "install" cmake --install "$work/build" --prefix "$prefix"

installed_in_prefix() {
    local file outside=0
    while IFS= read -r file || [ -n "$file" ]; do
        case $file in "$prefix"/*) ;; *) echo "outside of the prefix: $file"; outside=1 ;; esac
    done <"$work/build/install_manifest.txt"
    return $outside
}
has_files() {
    local at=$1 missing=0 file
    shift
    for file in "$@"; do [ -e "$at/$file" ] || { echo "missing: $file"; missing=1; }; done
    return $missing
}
same_file() { [ "$(readlink "$1")" = "$2" ] || { ls -l "$1"; return 1; }; }
# Texts only: in binaries, debug information names source files.
names_no_folder_of_ours() { ! grep -rIFn -e "$work" -e "$root" -e "$target" "$1"; }
has_soname() { readelf -d "$1" | grep -F "(SONAME)" | grep -F "[$soname]"; }
source_untouched() { source_files | diff "$work/source-before" -; }

check "everything is in the prefix" installed_in_prefix
check "nothing is missing" has_files "$prefix" "lib/libaqueduct.so.$version" "lib/$soname" lib/libaqueduct.so \
    lib/libaqueduct.a include/aqueduct/aqueduct.h lib/pkgconfig/aqueduct.pc bin/aqueduct \
    lib/cmake/Aqueduct/Aqueduct{Config,ConfigVersion,Targets}.cmake
check "the SONAME is $soname" has_soname "$prefix/lib/libaqueduct.so.$version"
check "$soname is a relative link" same_file "$prefix/lib/$soname" "libaqueduct.so.$version"
check "libaqueduct.so is a relative link" same_file "$prefix/lib/libaqueduct.so" "$soname"
check "no absolute path is installed" names_no_folder_of_ours "$prefix"
check "the program starts" "$prefix/bin/aqueduct" --version
cmake_consumer "CMake" "$work/use" -DCMAKE_PREFIX_PATH="$prefix"
check "CMake: shared by default" needs "$work/use/c-aqueduct" "$soname"
pkgconfig_consumer "pkg-config" "$prefix/lib"

moved="$work/moved elsewhere"
mv "$prefix" "$moved"
rm -rf "$work/use"
cmake_consumer "CMake, moved" "$work/use" -DCMAKE_PREFIX_PATH="$moved" -DBUILD_SHARED_LIBS=OFF
check "CMake, moved: static with BUILD_SHARED_LIBS=OFF" needs_no_aqueduct "$work/use/c-aqueduct"
pkgconfig_consumer "pkg-config, moved" "$moved/lib"

# find_package(Aqueduct ...) in a project that only configures.
finds() { rm -rf "$work/find" && cmake -S "$work/consumers/consumer-cmake" -B "$work/find" -DCMAKE_PREFIX_PATH="$moved" "$@"; }
check "CMake: a later version is refused" refuses finds -DWANTED_VERSION=1.0
check "CMake: AQUEDUCT_USE_STATIC_LIBS goes before BUILD_SHARED_LIBS" \
    finds -DBUILD_SHARED_LIBS=ON -DAQUEDUCT_USE_STATIC_LIBS=ON "-DWANTED_COMPONENTS=shared;static"
check "CMake: its programs are static" \
    eval 'cmake --build "$work/find" --target c-aqueduct && needs_no_aqueduct "$work/find/c-aqueduct"'
rm "$moved/lib/libaqueduct.a"
check "CMake: a component that is not installed is refused" refuses finds -DWANTED_COMPONENTS=static

# ---- Other places: DESTDIR, another library folder ----

destdir="$work/stage"
check "DESTDIR: configure" cmake -S "$root/cmake" -B "$work/build64" -DAQUEDUCT_CARGO_TARGET_DIR="$target" \
    -DCMAKE_INSTALL_PREFIX=/opt/aqueduct-of-the-test -DCMAKE_INSTALL_LIBDIR=lib64
check "DESTDIR: build" cmake --build "$work/build64"
check "DESTDIR: install" env DESTDIR="$destdir" cmake --install "$work/build64" --strip
check "DESTDIR: nothing is elsewhere" test ! -e /opt/aqueduct-of-the-test
check "DESTDIR: nothing is missing" has_files "$destdir/opt/aqueduct-of-the-test" "lib64/$soname" \
    lib64/libaqueduct.a lib64/pkgconfig/aqueduct.pc lib64/cmake/Aqueduct/AqueductConfig.cmake include/aqueduct/aqueduct.h
pkgconfig_consumer "DESTDIR, lib64, stripped" "$destdir/opt/aqueduct-of-the-test/lib64"
# By its folder: CMake looks into lib64 only on systems that have one.
cmake_consumer "CMake, lib64" "$work/use64" -DAqueduct_DIR="$destdir/opt/aqueduct-of-the-test/lib64/cmake/Aqueduct"

# ---- Packages ----

pack() { (cd "$1" && cpack -G "$2"); }
unpack_archive() { mkdir -p "$2" && tar -xzf "$1"/aqueduct-"$version"-*.tar.gz --strip-components=1 -C "$2"; }
check "TGZ: pack" pack "$work/build" TGZ
check "TGZ: unpack" unpack_archive "$work/build" "$work/tgz"
pkgconfig_consumer "TGZ" "$work/tgz/lib"

if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null && command -v file >/dev/null; then
    check "DEB: configure for /usr" cmake -S "$root/cmake" -B "$work/deb" -DAQUEDUCT_CARGO_TARGET_DIR="$target" \
        -DCMAKE_INSTALL_PREFIX=/usr
    check "DEB: build" cmake --build "$work/deb"
    check "DEB: pack" pack "$work/deb" DEB
    # in_package NAME: its version, and that all these files are in it, and in no other.
    deb() { echo "$work"/deb/"$1"_"$version"-*.deb; }
    in_package() {
        local package file missing=0
        package=$(deb "$1")
        shift
        dpkg-deb -c "$package"
        for file in "$@"; do
            dpkg-deb -c "$package" | awk '{ print $6 }' | grep -qE "^\./usr/$file\$" || { echo "missing: $file"; missing=1; }
        done
        return $missing
    }
    depends() { dpkg-deb -f "$(deb "$1")" Depends | tee /dev/stderr | grep -qF "$2"; }
    check "DEB: libaqueduct$abi has the shared library" in_package "libaqueduct$abi" "lib/.*/libaqueduct\.so\.$version" \
        "lib/.*/libaqueduct\.so\.$abi"
    check "DEB: libaqueduct$abi depends on libc6" depends "libaqueduct$abi" libc6
    check "DEB: libaqueduct-dev has the rest" in_package libaqueduct-dev include/aqueduct/aqueduct.h \
        'lib/.*/libaqueduct\.so' 'lib/.*/libaqueduct\.a' 'lib/.*/pkgconfig/aqueduct\.pc' \
        'lib/.*/cmake/Aqueduct/AqueductConfig\.cmake'
    check "DEB: libaqueduct-dev depends on libaqueduct$abi" depends libaqueduct-dev "libaqueduct$abi (= $version-"
    check "DEB: aqueduct has the program" in_package aqueduct bin/aqueduct
    for package in "libaqueduct$abi" libaqueduct-dev; do
        check "DEB: unpack $package" dpkg-deb -x "$(deb "$package")" "$work/debian"
    done
    libdir=$(dirname "$work"/debian/usr/lib/*/libaqueduct.so)
    pkgconfig_consumer "DEB" "$libdir"
    cmake_consumer "DEB, CMake" "$work/use-deb" -DCMAKE_PREFIX_PATH="$work/debian/usr"
else
    echo "skipped Debian packages: they need dpkg-dev and file"
fi

# ---- As a part of a larger project: Debug, and without any feature ----

# In a target directory of its own: in the shared one, it and the tests would overwrite each other's libraries.
cmake_consumer "add_subdirectory" "$work/sub" -DAQUEDUCT_SOURCE="$root" -DAQUEDUCT_CARGO_TARGET_DIR="$target/packages" \
    -DCMAKE_BUILD_TYPE=Debug -DAQUEDUCT_NO_DEFAULT_FEATURES=ON
check "add_subdirectory: installs nothing of ours" eval \
    'cmake --install "$work/sub" --prefix "$work/sub-prefix" && ! ls -R "$work/sub-prefix" | grep aqueduct'

check "the source tree is as before" source_untouched
finish
