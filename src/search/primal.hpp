// Assignments within the limits, found by repair and local improvement.
#pragma once

#include <vector>

#include "search/table.hpp"

namespace qtool::search {

// Flips groups until the limits hold, cheapest reduced loss per unit of violation first. False
// when it gets stuck; `a` then breaks a limit still.
bool repair(const Table& table, const std::vector<double>& price, Assignment& a);

// Spends what the limits leave on the flips that save most loss per price. `a` must fit.
void fill(const Table& table, const std::vector<double>& price, Assignment& a);

// Best single flips and, among the flips nearest to the prices' choice, best pairs of flips, until
// none helps (or `rounds` of them were made). `a` must fit and fits afterwards.
void improve(const Table& table, const std::vector<double>& price, int rounds, Assignment& a);

}  // namespace qtool::search
