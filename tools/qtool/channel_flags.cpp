#include "qtool/options.hpp"

namespace cli {

void ChannelFlags::bind(CLI::App& app) {
  app.add_flag(
      "--no-equalize", no_equalize,
      "leave channels of activations as they are, however unevenly they share their range");
  app.add_option(
         "--outliers", outliers,
         "ease outliers of what dense layers read, where it helps: shift,split,migrate (see "
         "`qtool list outliers`)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("METHODS");
}

void ChannelFlags::apply(qtool::CalibrateRequest& request) const {
  (void)qtool::find_outlier_methods(outliers);
  request.equalize = !no_equalize;
  request.outliers = outliers;
}

}  // namespace cli
