package rotation

import "time"

// Advice says in words what to do next about a key, and nothing where there is
// nothing to do. Options are what a command line of signpost needs, as " --keys DIR".
func (s Status) Advice(options string) string {
	switch s.Next {
	case Publish:
		if s.Signs {
			return "publish its record: nobody can verify the mail that it signs"
		}
		return "publish its record; it signs as soon as that is seen"
	case Keep:
		if s.Until.IsZero() {
			return "leave its record in the DNS: some host signs with it"
		}
		return "leave its record in the DNS until " + s.Until.UTC().Format(time.DateTime)
	case Finish:
		return "archive it and take its record out of the DNS: signpost rotate --finish" + options + " " + s.Domain
	}
	return ""
}
