// Package auth proves to a server who we are.
package auth
