"The networks. Importing this package registers those of all papers by their names."
from . import timm_trunks, baselines, rivals, h2cn, sth, hf_net, stc
