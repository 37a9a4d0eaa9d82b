package action

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailtrigger/connection/setting"
)

// sign adds the three headers of Standard Webhooks 1.0 (standardwebhooks.com). The
// id is the same at every attempt, so that the receiver can tell a repetition.
func sign(h http.Header, secret setting.Secret, key string, now time.Time, body []byte) error {
	k, err := signingKey(secret)
	if err != nil {
		return err
	}
	id, at := messageID(key), strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// messageID is the idempotency key without full stops, which part what is signed.
func messageID(key string) string { return strings.ReplaceAll(key, ".", "_") }

// signingKey reads a secret as Standard Webhooks writes it: "whsec_" and base64; the
// prefix may be missing.
func signingKey(secret setting.Secret) ([]byte, error) {
	s := strings.TrimRight(strings.TrimPrefix(secret.Reveal(), "whsec_"), "=")
	k, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || len(k) == 0 {
		return nil, errors.New(`is not one of Standard Webhooks; write "whsec_" and the base64 of 24 to 64 random bytes (openssl rand -base64 32)`)
	}
	return k, nil
}
