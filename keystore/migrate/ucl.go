package migrate

import "strings"

// uclValue is a value of UCL, the language of rspamd's configuration
// (https://github.com/vstakhov/libucl): one of a text, an object or an array.
type uclValue struct {
	at     Place
	text   string
	object *uclObject
	array  []uclValue
	kind   uclKind
}

type uclKind int

const (
	uclText uclKind = iota
	uclSection
	uclArray
)

// uclObject keeps its members in order. Names are compared without case, as
// rspamd does not mind.
type uclObject struct{ members []uclMember }

type uclMember struct {
	name  string
	value uclValue
}

// get returns the last member of a name.
func (o *uclObject) get(name string) (uclValue, bool) {
	if o == nil {
		return uclValue{}, false
	}
	for i := len(o.members) - 1; i >= 0; i-- {
		if strings.EqualFold(o.members[i].name, name) {
			return o.members[i].value, true
		}
	}
	return uclValue{}, false
}

// add puts a member in. Two sections of one name become one, as in merged
// files; of two other values the last holds.
func (o *uclObject) add(name string, value uclValue) {
	for i, have := range o.members {
		if strings.EqualFold(have.name, name) && have.value.kind == uclSection && value.kind == uclSection {
			for _, m := range value.object.members {
				o.members[i].value.object.add(m.name, m.value)
			}
			return
		}
	}
	o.members = append(o.members, uclMember{name, value})
}
