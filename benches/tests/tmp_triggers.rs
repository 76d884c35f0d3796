#[test]
fn print_it() {
    let mut vm = quantdesk_benches::vm::Vm::new().unwrap();
    let stages = quantdesk_benches::cases::depth_stages().unwrap();
    let table = quantdesk_benches::cases::triggers::table(&mut vm, &stages[..3]).unwrap();
    let mut out = String::new();
    table.section(&mut out);
    println!("{out}");
    let mut out = String::new();
    for table in quantdesk_benches::cases::orders::tables(&mut vm, &stages[..3]).unwrap() {
        table.section(&mut out);
    }
    for table in quantdesk_benches::cases::fills::measure(&mut vm, &stages).unwrap().tables {
        table.section(&mut out);
    }
    println!("{out}");
}
