"""The API of Kubernetes, as far as discovery needs it.

Account     where the API server is, and which account asks it: the pod's own account, or a kubeconfig (`kubeconfig`)
Api         one call, or one watch
Reflector   every object of one list: listed once, then watched
"""

from lbproxy.control.kubernetes.account import Account, PodAccount
from lbproxy.control.kubernetes.api import Api
from lbproxy.control.kubernetes.errors import KubernetesError
from lbproxy.control.kubernetes.reflector import Reflector

__all__ = ["Account", "Api", "KubernetesError", "PodAccount", "Reflector"]
