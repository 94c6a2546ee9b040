//! Ends what a test program leaves behind; see `akk_tests::leash`.

fn main() {
    akk_tests::leash::hold();
}
