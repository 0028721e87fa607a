//! Symbols that are covered, turned, slanted, creased, badly lit, blurred and grainy.

use evenkeel_sheets::picture::Picture;
use evenkeel_sheets::sheet::SYMBOL_VERSIONS;

use crate::degrade::{self, Seeded};
use crate::world::{Tally, printed, spoiled};

#[test]
fn an_eighth_of_a_symbol_covered_anywhere_and_turned_is_read() {
    let mut random = Seeded::new(1);
    let mut tally = Tally::default();
    for version in SYMBOL_VERSIONS {
        let printed = printed(version, &mut random);
        for (place, level) in (0..10).zip([0, 255, 128].into_iter().cycle()) {
            let covered = printed.covered(0.125, level, &mut random);
            for degrees in [0.0, 10.0, 20.0, 30.0] {
                let way = printed.is_read(&degrade::turn(&covered, degrees));
                tally.add(way);
                if way.is_none() {
                    println!("{version:?}, place {place}, level {level}, {degrees}° is not read");
                }
            }
        }
    }
    println!("12.5 % covered: {tally:?}");
    assert_eq!(tally.read, tally.of);
}

#[test]
fn each_hardship_alone_is_read() {
    let mut random = Seeded::new(2);
    let mut unread = Vec::new();
    for version in SYMBOL_VERSIONS {
        let printed = printed(version, &mut random);
        let clean = &printed.picture;
        let module = printed.module;
        let mut grain = Seeded::new(3);
        let cases: [(&str, Picture); 12] = [
            ("plain", clean.clone()),
            ("upside down", degrade::turn(clean, 180.0)),
            ("turned by 45°", degrade::turn(clean, 45.0)),
            ("turned by 100°", degrade::turn(clean, 100.0)),
            ("slanted across", degrade::slant(clean, 0.5, 0.0)),
            ("slanted both ways", degrade::slant(clean, 0.3, -0.3)),
            ("creased", degrade::crease(clean, 0.5, 10.0, 0.7 * module)),
            ("creased steeply", degrade::crease(clean, 0.5, 50.0, 0.7 * module)),
            ("badly lit", degrade::shade(clean, 0.35, 0.4, 0.5)),
            ("out of focus", degrade::blur(clean, 2)),
            ("grainy", degrade::noise(clean, 30.0, &mut grain)),
            ("JPEG of quality 25", degrade::jpeg(clean, 25)),
        ];
        for (name, picture) in cases {
            let way = printed.is_read(&picture);
            println!("version {}, {name}: {way:?}", version.number());
            if way.is_none() {
                unread.push(format!("version {}, {name}", version.number()));
            }
        }
    }
    assert_eq!(unread, Vec::<String>::new());
}

#[test]
fn all_hardships_at_once_are_read_and_twice_as_much_mostly() {
    let mut random = Seeded::new(4);
    for hardship in [0.5, 1.0] {
        let mut tally = Tally::default();
        for version in SYMBOL_VERSIONS {
            let printed = printed(version, &mut random);
            for _ in 0..6 {
                tally.add(printed.is_read(&spoiled(&printed, hardship, &mut random)));
            }
        }
        println!("hardship {hardship}: {tally:?}");
        // What is asked is read always; twice as much of everything, mostly.
        let enough = if hardship < 1.0 { tally.of } else { tally.of / 2 };
        assert!(tally.read >= enough, "{tally:?}");
    }
}
