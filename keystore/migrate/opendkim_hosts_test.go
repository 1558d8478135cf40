package migrate

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestClientsAgainstOpenDKIM asks the real OpenDKIM about clients without a
// login, and compares with whom signpostd trusts after the import.
func TestClientsAgainstOpenDKIM(t *testing.T) {
	clients := []string{"127.0.0.1", "::1", "192.168.0.1", "192.168.0.7", "10.1.2.3", "203.0.113.5", "2001:db8::25"}
	for _, hosts := range []string{
		"", "-", "192.168.0.1/24", "192.168.0.0/24,192.168.0.1/32", "192.168.0.1", "10.0.0.0/255.0.0.0",
		"csl:2001:db8:0::/48", "csl:2001:DB8::/48", "csl:[2001:db8::25],10.0.0.0/8", "csl:[2001:db8::]/32", "0.0.0.0/0",
	} {
		t.Run("InternalHosts "+hosts, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			conf := "Mode s\nRequireSafeKeys no\nBackground no\nSyslog no\nSocket local:DIR/socket\nDomain example.org\nSelector s\nKeyFile DIR/key\n"
			if hosts != "" {
				conf += "InternalHosts " + hosts + "\n"
			}
			lay(t, dir, map[string]string{"opendkim.conf": conf, "key": "KEY0:pkcs1", "script.lua": clientsScript(clients)})
			plan, err := Read(filepath.Join(dir, "opendkim.conf"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			trusted := setting(plan, "SIGNPOST_TRUSTED_NETWORKS")
			theirs := openDKIMTrusts(t, dir)
			for _, client := range clients {
				if ours := trusts(t, trusted, client); ours != theirs[client] {
					t.Errorf("%s: trusted by OpenDKIM: %v, after the import: %v", client, theirs[client], ours)
				}
			}
		})
	}
}

// trusts reports whether a client is in a list of networks and addresses.
func trusts(t *testing.T, list, client string) bool {
	t.Helper()
	for item := range strings.SplitSeq(list, ",") {
		network, err := netip.ParsePrefix(item)
		if err != nil && item != "none" {
			addr := netip.MustParseAddr(item)
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		if network.Contains(netip.MustParseAddr(client)) {
			return true
		}
	}
	return false
}

// clientsScript is a script for miltertest that prints the clients whose mail
// is signed.
func clientsScript(clients []string) string {
	return `
for client in string.gmatch("` + strings.Join(clients, " ") + `", "%S+") do
	local conn = mt.connect("local:DIR/socket", 400, 0.05)
	mt.conninfo(conn, "unknown", client)
	mt.macro(conn, SMFIC_MAIL, "i", "queue")
	mt.mailfrom(conn, "<joe@example.org>")
	mt.rcptto(conn, "<ann@example.net>")
	mt.header(conn, "From", "joe@example.org")
	mt.eoh(conn)
	if mt.getreply(conn) == SMFIR_CONTINUE then -- not, when it has no business with the client
		mt.bodystring(conn, "x\r\n")
		mt.eom(conn)
		if mt.eom_check(conn, MT_HDRINSERT, "DKIM-Signature") then
			print("signed " .. client)
		end
	end
	mt.disconnect(conn)
end
`
}

// openDKIMTrusts runs the script of dir with OpenDKIM.
func openDKIMTrusts(t *testing.T, dir string) map[string]bool {
	t.Helper()
	daemon := exec.Command("opendkim", "-f", "-x", filepath.Join(dir, "opendkim.conf"))
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Wait()
	defer daemon.Process.Kill() // asked to end, it thinks about it for five seconds
	script := exec.Command("miltertest", "-s", filepath.Join(dir, "script.lua"))
	script.WaitDelay = time.Second
	out, err := script.CombinedOutput()
	if err != nil {
		t.Fatalf("miltertest: %v\n%s", err, out)
	}
	signed := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		if client, ok := strings.CutPrefix(strings.TrimSpace(line), "signed "); ok {
			signed[client] = true
		}
	}
	return signed
}

// FuzzInternalHosts compares whom signpostd trusts after the import with a
// model of how OpenDKIM looks a client up: its address, and the networks about
// it from the smallest on, as text.
func FuzzInternalHosts(f *testing.F) {
	f.Add("192.168.0.1/24,10.0.0.0/8,[::1]", "10.1.2.3")
	f.Add("::/[0,[10.0.0.0/8],[[::1]]", "10.0.0.1")
	f.Add("FE80::/10,2001:db8:0::/48,::ffff:10.0.0.0/104,0.0.0.0/0", "2001:db8::1")
	f.Fuzz(func(t *testing.T, list, client string) {
		addr, err := netip.ParseAddr(client)
		if err != nil || addr.Is4In6() || addr.Zone() != "" {
			return
		}
		r := &reader{plan: &Plan{Path: "f"}}
		set := parseList(list, Place{})
		inSet := make(map[string]bool)
		for _, e := range set.entries {
			if strings.EqualFold(e.key, "localhost") || strings.HasPrefix(e.key, "!") {
				return
			}
			inSet[strings.ToLower(e.key)] = true
		}
		theirs := inSet[addr.String()] || inSet["["+addr.String()+"]"]
		for bits := addr.BitLen(); bits >= 0; bits-- {
			network := netip.PrefixFrom(addr, bits).Masked()
			length := fmt.Sprintf("/%d", bits)
			theirs = theirs || inSet[network.Addr().String()+length] || inSet["["+network.Addr().String()+"]"+length]
		}
		r.trusted(directive{Place{}, "InternalHosts", "csl:" + list}, "")
		if ours := trusts(t, setting(r.plan, "SIGNPOST_TRUSTED_NETWORKS"), client); ours != theirs {
			t.Errorf("InternalHosts %q, %s: OpenDKIM trusts it: %v, signpostd: %v\n%s", list, client, theirs, ours, said(r.plan.Findings))
		}
	})
}
