// Whose precompiled headers the tests take.
int main() {}
