package status

// candidate reports whether a domain is only known because mail came from it: it has
// not published the shared key, as far as is known, and need not be signed.
func (f *Facts) candidate(name string) bool {
	keys := f.Store.Snapshot().Keys(name)
	return len(keys) > 0 && keys[0].Shared && !f.Rules.MustSign[name] && !f.Book.Signs(name)
}
