"""The policy pack; the rules live in groundplan.policy."""

import threading

from pulumi_policy import PolicyPack

from groundplan.policy.promises import load_models
from groundplan.policy.pulumi_pack import policies

# the engine needs seconds to register resources before it asks about them: the models load meanwhile
threading.Thread(target=load_models, daemon=True).start()
PolicyPack("groundplan", policies())
