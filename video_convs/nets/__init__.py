"The networks. Importing this package registers those of all papers by their names."
from . import timm_trunks, torchvision_networks, baselines, rivals, h2cn, sth, hf_net, stc
