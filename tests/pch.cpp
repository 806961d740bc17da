int main() { return 0; }  // exists only to build the precompiled header of the tests
