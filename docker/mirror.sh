# Sourced. Debian's archives, as apt uses them on this machine.

# archive LABEL: the address of that archive in apt's sources.
archive() {
	apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' "Label: $1" 'Component: main' | sort -u | head -n 1
}

# find_mirror sets mirror, and security where there is one; without a mirror it returns 1.
find_mirror() {
	mirror=$(archive Debian)
	security=$(archive Debian-Security)
	[ -n "$mirror" ]
}

# sources RELEASE [OPTIONS]: lines for apt's sources.list.
sources() {
	echo "deb ${2:+[$2] }$mirror $1 main"
	[ -z "$security" ] || echo "deb ${2:+[$2] }$security $1-security main"
}
