// Package interop holds what the tests against Varve's peers share: a history
// of samples, the two ways it becomes blocks, the expressions asked about it,
// the processes, and the comparison of answers. The tests themselves are in
// the files that end in _test.go. README.md says what they prove.
package interop
