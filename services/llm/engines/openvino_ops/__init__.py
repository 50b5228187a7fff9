"""Operations of ours for OpenVINO, in C++."""
