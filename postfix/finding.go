package postfix

// Finding is one thing that is wrong with a configuration or with a message on
// its way, or worth knowing. The fields are those of record.Finding.
type Finding struct {
	Code  string // kebab-case, stays the same from version to version
	Level string // fault, unknown, warning or note
	// Name is what it is about: a parameter, a service, a header field.
	Name string
	// What is wrong, Effect what that causes, and Fix what to do, a line each or
	// more.
	What, Effect, Fix string
}
