// Bench measures signpostd against other milters that sign. It plays the part
// of Postfix towards each of them, checks the signatures that come back, and
// prints tables.
//
// The milters of one case are all started at the beginning, take turns in each
// round, and are black boxes: only their sockets and what the kernel tells of
// their processes are looked at. Medians over the rounds are printed, and
// ratios are made within a round, for the speed of a machine drifts.
//
// It needs root, for Postfix and for namespaces of its own, in which whatever
// it starts ends with it.
package main
