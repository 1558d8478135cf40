package dkim

// Recipe is a checked Policy in the form that messages use. It is immutable:
// any number of messages may share one.
type Recipe struct {
	policy Policy
	names  []signedName   // in the order of h=
	byName map[string]int // by lower-case name: where in names
	from   int            // where From is in names
}

// signedName is the name of a field to sign.
type signedName struct {
	name string // in lower case
	over bool   // oversigned
}

// Compile checks p as Validate does and makes a Recipe of it.
func (p *Policy) Compile() (*Recipe, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p.recipe(), nil
}

func (p *Policy) recipe() *Recipe {
	r := &Recipe{policy: *p, byName: make(map[string]int)}
	sign, oversign := p.fields()
	for i, name := range sign {
		name = lower(name)
		r.names = append(r.names, signedName{name, listed(oversign, name)})
		r.byName[name] = i
	}
	r.from = r.byName["from"]
	return r
}

// Signs reports whether fields with the name are signed.
func (r *Recipe) Signs(name []byte) bool { return r.find(name) >= 0 }

// find returns where the name of a field is in names, or -1 if it is not to be
// signed. White space before the colon does not count (RFC 5322, section 4.5).
func (r *Recipe) find(name []byte) int {
	for len(name) > 0 && isBlank(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	if len(name) > maxFieldName {
		return -1
	}
	var buf [maxFieldName]byte
	if i, ok := r.byName[string(appendLower(buf[:0], name))]; ok {
		return i
	}
	return -1
}
