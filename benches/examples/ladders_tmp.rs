use quantdesk_benches::{
    cases::{depth_stages, ladders},
    vm::Vm,
};
fn main() {
    let mut vm = Vm::new().unwrap();
    let stages = depth_stages().unwrap();
    let found = ladders::measure(&mut vm, &stages[..3]).unwrap();
    for row in found.table.rows {
        println!("{row:?}");
    }
}
