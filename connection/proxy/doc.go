// Package proxy reaches servers through proxies: one file a protocol.
package proxy
