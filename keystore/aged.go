package keystore

import "time"

// Aged returns how many of the keys that sign have files older than age, and the
// oldest of those. Keys that nobody has read yet are not among them.
func (s *Snapshot) Aged(age time.Duration, now time.Time) (n int, oldest *Key) {
	for _, d := range s.shards.all() {
		for _, key := range d.state.Load().signing {
			if now.Sub(key.ModTime) <= age {
				continue
			}
			n++
			if oldest == nil || key.ModTime.Before(oldest.ModTime) {
				oldest = key
			}
		}
	}
	return n, oldest
}
