#!/bin/sh
# Installs what is missing, and only that, on a Debian or Ubuntu machine.
#
#   setup.sh go      checks that Go is there and new enough (installs nothing)
#   setup.sh engine  what a container engine needs
#   setup.sh build   a C compiler and OpenSSL, for a signpostd that signs with libcrypto
#   setup.sh cross-arm64, cross-amd64  a C compiler for the other architecture
#   setup.sh release what images and lists of contents of a release need
#   setup.sh base    what making the base image needs
#   setup.sh mta     Postfix on this machine, not configured and not started
#   setup.sh bench   Postfix, and other milters that sign
#   setup.sh tests   Postfix, other people's verifiers and name servers, Redis, shells, a browser, promtool, a C compiler for the race detector
set -eu
cd "$(dirname "$0")/.."
log=build/setup.log

fail() {
	echo "setup: error: $*" >&2
	exit 1
}

# The package ssmtp conflicts with postfix, so its program is unpacked beside it.
unpack_ssmtp() {
	[ ! -x build/ssmtp/usr/sbin/ssmtp ] || return 0
	mkdir -p build/ssmtp
	(cd build/ssmtp && apt-get download ssmtp && dpkg-deb -x ssmtp_*.deb .) >>$log 2>&1 || {
		tail -n 5 $log >&2
		fail "apt-get could not download ssmtp; hint: the whole output is in $log"
	}
}

# need PACKAGE COMMAND...: the package is missing when the command fails.
missing=
need() {
	package=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $package"
}

needs_libcrypto() {
	need gcc command -v gcc
	need libc6-dev test -e /usr/include/stdlib.h
	need libssl-dev sh -c 'ls /usr/lib/*/libcrypto.a'
}

needs_cross() {
	need "gcc-$1-linux-gnu" command -v "$2-linux-gnu-gcc"
	need "libc6-dev-$3-cross" test -e "/usr/$2-linux-gnu/lib/libc.a"
}

needs_release() {
	need buildah command -v buildah
	need jq command -v jq
}

go_present() {
	command -v go >/dev/null ||
		fail "go is not installed; hint: install Go 1.26 or later from https://go.dev/dl/ and put it in PATH"
	# From 1.21 on, Go fetches by itself the version that go.mod asks for.
	version=$(go env GOVERSION)
	minor=${version#go1.}
	minor=${minor%%[!0-9]*}
	[ "${minor:-21}" -ge 21 ] ||
		fail "$version is too old; hint: install Go 1.26 or later from https://go.dev/dl/"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		fail "$* needs root; hint: run as root or install sudo"
	fi
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@" >>$log 2>&1 </dev/null
}

install_missing() {
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null ||
		fail "missing:$missing, and there is no apt-get; hint: install what these Debian packages hold"
	echo "setup: installing$missing"
	mkdir -p build
	: >$log
	case " $missing " in *" postfix "*)
		# Tests run instances of their own: the system's stays without main.cf, and so does not start.
		echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
		;;
	esac
	# shellcheck disable=SC2086 # a list of names
	apt_install $missing || {
		as_root apt-get -o DPkg::Lock::Timeout=120 update >>$log 2>&1 && apt_install $missing
	} || {
		tail -n 5 $log >&2
		fail "apt-get could not install$missing; hint: the whole output is in $log"
	}
	# Only their programs are wanted, not daemons that nobody asked for.
	for service in opendkim:opendkim rspamd:rspamd dkimpy-milter:dkimpy-milter bind9:named nsd:nsd knot:knot prometheus:prometheus; do
		case " $missing " in *" ${service%:*} "*)
			[ ! -d /run/systemd/system ] || as_root systemctl disable --now "${service#*:}" >>$log 2>&1 || :
			;;
		esac
	done
}

PATH=$PATH:/usr/sbin:/sbin
case ${1:-} in
go)
	go_present
	;;
engine)
	need docker.io sh -c 'command -v docker && command -v dockerd'
	need iptables command -v iptables
	docker compose version >/dev/null 2>&1 || need docker-compose command -v docker-compose
	need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
	;;
build)
	needs_libcrypto
	;;
cross-arm64)
	needs_cross aarch64 aarch64 arm64
	;;
cross-amd64)
	needs_cross x86-64 x86_64 amd64
	;;
release)
	needs_release
	;;
base)
	need debootstrap command -v debootstrap
	;;
mta)
	need postfix command -v postfix
	;;
bench)
	need postfix command -v postfix
	need opendkim command -v opendkim
	need rspamd command -v rspamd
	need dkimpy-milter command -v dkimpy-milter
	need redis-tools command -v redis-check-rdb
	need python3-nacl /usr/bin/python3 -c 'import nacl.signing'
	need openssl command -v openssl
	need iproute2 command -v ip
	;;
tests)
	need postfix command -v postfix
	need opendkim command -v opendkim
	need postfix-pcre sh -c 'ls /usr/lib/postfix/postfix-pcre.so'
	need opendkim-tools command -v opendkim-testmsg
	need miltertest command -v miltertest
	need swaks command -v swaks
	need python3-dkim /usr/bin/python3 -c 'import dkim'
	need python3-dnspython /usr/bin/python3 -c 'import dns.resolver'
	need python3-nacl /usr/bin/python3 -c 'import nacl.signing'
	need libmail-dkim-perl perl -MMail::DKIM::Verifier -e 1
	need libmailtools-perl perl -MMail::Address -e 1
	need libemail-address-xs-perl perl -MEmail::Address::XS -e 1
	need libsasl2-modules sh -c 'ls /usr/lib/*/sasl2/libplain.so'
	need rspamd command -v rspamd
	need bind9 command -v named
	need bind9-utils command -v named-checkzone
	need bind9-dnsutils command -v nsupdate
	need nsd command -v nsd-checkzone
	need knot command -v knotd
	need knot-dnsutils command -v knsupdate
	need iproute2 command -v ip
	need redis-tools command -v redis-check-rdb
	need chromium command -v chromium
	need prometheus command -v promtool
	need man-db command -v man
	need groff-base command -v groff
	need fish command -v fish
	need zsh command -v zsh
	docker compose version >/dev/null 2>&1 || need docker-compose command -v docker-compose
	need python3-yaml /usr/bin/python3 -c 'import yaml'
	need libgnutls-openssl27 sh -c 'ls /usr/lib/*/libgnutls-openssl.so.27'
	need qemu-user-static sh -c 'command -v qemu-aarch64-static && command -v qemu-x86_64-static'
	needs_libcrypto
	needs_release
	;;
*)
	fail "unknown part \"${1:-}\"; hint: one of go, build, engine, cross-arm64, cross-amd64, release, base, mta, bench, tests"
	;;
esac
install_missing
[ "$1" != tests ] || unpack_ssmtp
