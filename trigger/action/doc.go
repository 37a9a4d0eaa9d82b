// Package action runs a trigger's actions: one file a type.
package action
