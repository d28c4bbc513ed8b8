// Package oci stands in for the backend of Oracle's cloud, which is not served as a module that fits.
package oci

import (
	"errors"

	"github.com/hashicorp/terraform/internal/backend"
	"github.com/hashicorp/terraform/internal/configs/configschema"
	"github.com/hashicorp/terraform/internal/tfdiags"
	"github.com/zclconf/go-cty/cty"
)

// None of the other methods is called on a backend whose configuration is refused.
type unavailable struct{ backend.Backend }

// New gives a backend that refuses every configuration.
func New() backend.Backend { return unavailable{} }

func (unavailable) ConfigSchema() *configschema.Block { return &configschema.Block{} }

func (unavailable) PrepareConfig(config cty.Value) (cty.Value, tfdiags.Diagnostics) {
	var refusal tfdiags.Diagnostics
	return config, refusal.Append(errors.New("This build of Terraform, made for tests, has no oci backend."))
}
