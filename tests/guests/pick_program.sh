#!/bin/sh
# A program of an unpacked package tree with its loader and libraries, flat in one folder.
# usage: pick_program.sh ROOT PROGRAM OUT_DIR   -> OUT_DIR/run starts it (with its arguments)
set -eu
root=$(cd "$1" && pwd)
program=$2
out=$3
mkdir -p "$out"
libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
cp -L "$root/$program" "$out/"
LD_LIBRARY_PATH=$libraries ldd "$root/$program" | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | while read -r library; do
    cp -L "$library" "$out/"
done
cp -L "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$out/ld.so"
cat > "$out/run" <<RUN
#!/bin/sh
exec "\${0%/run}/ld.so" --library-path "\${0%/run}" "\${0%/run}/$(basename "$program")" "\$@"
RUN
chmod +x "$out/run"
