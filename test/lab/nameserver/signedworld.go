package nameserver

import "net"

// SignedZone is a zone to serve with its parent, the root.
type SignedZone struct {
	Text string
	// Sign are arguments of dnssec-signzone; the zone is not signed when it is nil.
	Sign []string
	// Link says whether the root has a DS record for the zone, and whether for its key.
	Link Link
}

// Link is the DS record for a zone.
type Link string

// Links.
const (
	NoLink    Link = ""
	GoodLink  Link = "good"
	OtherLink Link = "other" // for a key that the zone has not
)

// A SignedWorld is a signed root with zones below it, at an authoritative server, and a
// resolver that validates. Both addresses have a port.
type SignedWorld struct {
	Plain, Validating string
	stop              []func() (log string)
}

// StartSigned starts NSD with a root that delegates the zones, by name, and a validating
// resolver that asks it. Files are in dir.
func StartSigned(dir string, zones map[string]SignedZone) (*SignedWorld, error) {
	const soa = "@ SOA ns.test. root.test. 1 7200 900 1209600 60\n@ NS ns.test.\n"
	texts := make(map[string]string)
	root := soa + "ns.test. A 127.0.0.1\n"
	for name, zone := range zones {
		texts[name] = zone.Text
		root += name + ". NS ns.test.\n"
		signed, ds, err := Sign(dir, name, zone.Text, zone.Sign...)
		if err == nil && zone.Link == OtherLink {
			_, ds, err = Sign(dir, name, soa)
		}
		if err != nil {
			return nil, err
		}
		if zone.Sign != nil {
			texts[name] = signed
		}
		if zone.Link != NoLink {
			root += ds
		}
	}
	signed, ds, err := Sign(dir, ".", root)
	if err != nil {
		return nil, err
	}
	texts["."] = signed
	w := new(SignedWorld)
	upstream, err := StartNSD(dir, "", texts, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	w.stop = append(w.stop, upstream.Stop)
	w.Plain = net.JoinHostPort("127.0.0.1", upstream.Port)
	validator, err := StartValidator(dir, upstream.Port, ds)
	if err != nil {
		w.Stop()
		return nil, err
	}
	w.stop = append(w.stop, validator.Stop)
	w.Validating = net.JoinHostPort("127.0.0.1", validator.Port)
	return w, nil
}

// Stop ends the servers, and returns what they have logged.
func (w *SignedWorld) Stop() (log string) {
	for _, stop := range w.stop {
		log += stop()
	}
	return log
}
