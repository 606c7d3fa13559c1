#!/bin/sh
# Makes $1/chromium: a Chromium of the system, of Debian's package if there is none yet.
#
# As root the package is installed. Otherwise it and what it needs are unpacked below $1.
set -eu
bin=$1
mkdir -p "$bin"
if [ -x "$bin/chromium" ] && "$bin/chromium" --version >/dev/null 2>&1; then
	exit 0
fi
rm -f "$bin/chromium"
found=$(command -v chromium || true)
if [ -z "$found" ] && command -v apt-get >/dev/null; then
	if [ "$(id -u)" = 0 ]; then
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
		found=$(command -v chromium || true)
	else
		root=$bin/chromium.root
		rm -rf "$root"
		mkdir -p "$root/debs"
		needed=$(apt-get install -s --no-install-recommends chromium | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
		(cd "$root/debs" && apt-get download -qq $needed)
		for deb in "$root"/debs/*.deb; do
			dpkg -x "$deb" "$root"
		done
		rm -r "$root/debs"
		libraries=$(find "$root/usr/lib" "$root/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | tr '\n' ':')
		cat > "$bin/chromium" <<-END
			#!/bin/sh
			LD_LIBRARY_PATH=$libraries\$LD_LIBRARY_PATH exec "$root/usr/lib/chromium/chromium" "\$@"
		END
		chmod +x "$bin/chromium"
	fi
fi
if [ -n "$found" ]; then
	ln -s "$found" "$bin/chromium"
fi
if ! "$bin/chromium" --version; then
	echo "no Chromium: neither chromium on the PATH nor Debian's package could be had; install it, or set CHROMIUM_BIN" >&2
	exit 1
fi
