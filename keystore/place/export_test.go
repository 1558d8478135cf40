package place

import "time"

// Within returns a store that is given up on after that time.
func Within(long time.Duration, p Place) Place {
	s := p.(store)
	s.backend.long = long
	return s
}
