package nameserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Sign signs a zone with BIND's tools, in dir, and returns the text of the signed
// zone and of the DS record for the zone above. More are arguments of dnssec-signzone.
func Sign(dir, zone, text string, more ...string) (signed, ds string, err error) {
	zone = strings.TrimSuffix(zone, ".") + "."
	dir, err = os.MkdirTemp(dir, "signed")
	if err != nil {
		return "", "", err
	}
	if _, err := tool(dir, "dnssec-keygen", "-q", "-K", dir, "-a", "ECDSAP256SHA256", "-f", "KSK", zone); err != nil {
		return "", "", err
	}
	file, err := write(dir, "zone", "$ORIGIN "+zone+"\n$TTL 60\n"+text)
	if err != nil {
		return "", "", err
	}
	// One key signs all (-z), and what is signed may be expired (-P).
	args := append([]string{"-q", "-P", "-S", "-z", "-u", "-K", dir, "-d", dir, "-o", zone,
		"-f", file + ".signed"}, more...)
	if _, err := tool(dir, "dnssec-signzone", append(args, file)...); err != nil {
		return "", "", err
	}
	whole, err := os.ReadFile(file + ".signed")
	if err != nil {
		return "", "", err
	}
	delegation, err := os.ReadFile(filepath.Join(dir, "dsset-"+zone))
	return string(whole), string(delegation), err
}

func tool(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return string(out), nil
}
