// Package system holds the whole-system tests: the real signpostd behind a
// real Postfix, delivery by MX to a receiving sink, and other people's DKIM
// verifiers as the judges.
//
// The tests run in a private world: the test binary starts itself again in
// its own network, mount and process namespaces (lab.Enter), so ports never
// clash, nothing can leave the machine, and nothing is left behind.
// Every test then makes a world of its own (world_test.go): addresses in
// 127.1.N.0/24, a DNS server, a receiving sink, a key directory, and as many
// Postfix instances and daemons as it needs.
//
// Needed: root, and the packages postfix, opendkim, opendkim-tools, miltertest,
// python3-dkim, python3-dnspython, python3-nacl, libmail-dkim-perl, rspamd,
// redis-tools, iproute2.
package system
