// An exec target with a C library: static glibc, which makes about 16 calls before main.
int main() { return 0; }
