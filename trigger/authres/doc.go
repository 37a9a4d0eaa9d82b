// Package authres says whether a message's author is who it claims to be, by what
// the receiving server wrote into Authentication-Results (RFC 8601).
//
// A sender can write such a field, too. So one is believed only if
//
//   - it names the server that the user trusts (authserv_id),
//   - it is the topmost of that server: a server adds above what it received,
//   - no foreign server handed the message on above it: below the Received field of
//     the trusted server, one of another server ends what is believed. A receiving
//     server removes what claims to be its own (RFC 8601, section 5); this holds
//     where one forgets to;
//   - it is written by the rules, version 1, within the limits;
//   - the author is beyond doubt (message.Message.Author): one From field with one
//     address, in a header that every reader reads alike.
//
// In a field that is believed, the author is authenticated if DMARC passes for its
// domain (RFC 7489), or if DMARC has nothing to say and DKIM or SPF pass for a
// domain that is aligned with it: the same organizational domain, by the public
// suffix list. Whatever is in doubt is not authenticated.
package authres
