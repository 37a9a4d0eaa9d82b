// Package codepage finds character encodings by the names people and mail give
// them, and decides which one a text is read with.
package codepage
